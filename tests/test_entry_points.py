"""One contract for all registries that packages of others add to, and what `lwmport list` shows of what is left out."""

import json
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any, Final

import pytest
from click.testing import CliRunner

from lwmport.cli.main import cli
from lwmport.entry_points import OpenRegistry
from lwmport.errors import PortError, UsageError
from lwmport.models.specs import FAMILIES
from lwmport.runtime.registry import RUNNERS
from lwmport.targets.registry import TARGETS

REGISTRIES: Final[dict[str, OpenRegistry[Any]]] = {"families": FAMILIES, "runners": RUNNERS, "targets": TARGETS}
"""Title in `lwmport list` -> registry."""

RECORDS: Final = {
    "families": """
from lwmport.models.spec import FamilySpec, PartSpec
PART = PartSpec(name="theirs-part", summary="a part", factory="nowhere:part")
RECORD = FamilySpec(name="theirs", components=(PART,), configs="nowhere:CONFIGS")
""",
    "runners": """
from lwmport.runtime.spec import RunnerSpec
RECORD = RunnerSpec(name="theirs", title="their runtime", suffixes=(".theirs",), opener="nowhere:open_model")
""",
    "targets": """
from lwmport.converters.dialects import DIALECTS
from lwmport.targets.target import Target
RECORD = Target(
    name="theirs", title="Theirs", summary="their compiler", formats={"onnx": DIALECTS["ort"]}, rules="nowhere:RULES",
    compiler="nowhere:COMPILER",
)
""",
}
REFUSED: Final = {
    "families": ("configs=", "usual=", "expected configs or configure in the family theirs, found both or neither"),
    "runners": ('".theirs"', '"theirs"', "expected suffixes of files such as .onnx, found ('theirs',)"),
    "targets": (
        'DIALECTS["ort"]',
        '__import__("dataclasses").replace(DIALECTS["ort"], summary="mine")',
        "expected another name for the dialect 'ort', which lwmport has",
    ),
}
"""What makes a record one that contradicts itself or ours: what stands in its place, and what is said."""


@pytest.fixture(params=REGISTRIES)
def title(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def install(title: str, install_package: Callable[..., None]) -> Callable[..., None]:
    """Return what installs a package with a module and one record of the registry."""

    def make(package: str, source: str, entry: str = "theirs") -> None:
        install_package(package, f"module_of_{package}", source, REGISTRIES[title].group, {entry: "RECORD"})

    return make


def listed(title: str) -> dict[str, str]:
    """Return what ``lwmport list`` shows under a title, after the terminal was seen to show the same."""
    found = json.loads(CliRunner().invoke(cli, ["list", "--json"], catch_exceptions=False).stdout)[title]
    shown = CliRunner().invoke(cli, ["list"], catch_exceptions=False).stdout
    lines = {" ".join(line.split()) for line in shown.splitlines()}
    assert {" ".join(f"{name} {text}".split()) for name, text in found.items()} <= lines
    return dict(found)


def test_a_record_of_another_package_stands_behind_ours(title: str, install: Callable[..., None]) -> None:
    registry = REGISTRIES[title]
    assert list(registry) == list(registry.table)
    install("good", RECORDS[title])
    assert list(registry) == [*registry.table, "theirs"] == [*registry.ours, *registry.others]
    assert (len(registry), registry["theirs"].name, dict(registry.faults)) == (len(registry.table) + 1, "theirs", {})
    registry.require("theirs")
    package = registry.provider("theirs")
    assert package is not None
    assert (package.name, package.version) == ("good", "1.0")
    assert not any(registry.provider(name) for name in registry.table)
    assert list(listed(title)) == list(registry)


FAULTS: Final = {
    "a module that fails": ("raise OSError('no\\ndisk')", "theirs", "found OSError: no disk"),
    "a module that ends Python": ("raise SystemExit('no SDK')", "theirs", "found SystemExit: no SDK"),
    "a module that is not there": ("import absent_module", "theirs", "No module named 'absent_module'"),
    "no attribute": ("", "theirs", "has no attribute 'RECORD'"),
    "another type": ("RECORD = 3", "theirs", "found int"),
    "another name": ("", "other", "to have that name, found 'theirs'"),
    "no such record": ("", "theirs", ""),
    "a taken name": ("", "", "found lwmport and a_package (module_of_a_package:RECORD)"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_one_that_cannot_be_used_costs_one_line(case: str, title: str, install: Callable[..., None]) -> None:
    registry = REGISTRIES[title]
    source, entry, said = FAULTS[case]
    entry = entry or next(iter(registry.table))
    if case in {"another name", "a taken name"}:
        source = RECORDS[title]
    if case == "no such record":
        good, bad, said = REFUSED[title]
        source = RECORDS[title].replace(good, bad)
    install("a_package", source, entry)
    ((name, fault),) = registry.faults.items()
    assert name == entry
    assert said in fault
    assert f"{registry.kind} " in fault
    assert repr(entry) in fault
    assert "a_package (module_of_a_package:RECORD)" in fault
    assert fault.endswith("; change or uninstall that package")
    assert "\n" not in fault
    assert list(registry) == list(registry.table)
    assert list(registry.ours) == list(registry.table)
    assert listed(title)[f"{entry} (left out)"] == fault
    if entry in registry.table:
        registry.require(entry)
        return
    for ask in (registry.require, registry.__getitem__):
        with pytest.raises(PortError) as caught:
            ask(entry)
        assert str(caught.value) == fault


def test_a_name_that_two_packages_have_is_nobody_s(title: str, install: Callable[..., None]) -> None:
    install("one", RECORDS[title])
    install("two", RECORDS[title])
    registry = REGISTRIES[title]
    assert "theirs" not in registry
    assert "found one (module_of_one:RECORD) and two (module_of_two:RECORD)" in registry.faults["theirs"]


def test_an_unknown_name_is_met_with_the_nearest(title: str, install: Callable[..., None]) -> None:
    install("good", RECORDS[title])
    with pytest.raises(UsageError, match="found 'thiers'; did you mean 'theirs'"):
        REGISTRIES[title]["thiers"]


def test_ours_are_there_whatever_is_installed(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> Any:
        raise AssertionError("the packages of others were read")

    registry = REGISTRIES[title]
    monkeypatch.setattr(sys, "path", [*sys.path, "/a/new/search/path"])
    monkeypatch.setattr(metadata, "entry_points", broken)
    for name in registry.table:
        assert name in registry
        assert registry[name].name == name
        assert registry.provider(name) is None
