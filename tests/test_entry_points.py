"""Records of other packages: found by entry points, and one that cannot be used costs one line."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lwmport.entry_points import OpenRegistry
from lwmport.errors import PortError, UsageError

GROUP = "lwmport.things"
GOOD = "from types import SimpleNamespace\nTHING = SimpleNamespace(name='theirs', size=2)\n"


def check(found: Any, _: Mapping[str, Any]) -> None:
    if not hasattr(found, "size"):
        raise UsageError("expected a thing with a size, found none")


@pytest.fixture
def registry() -> OpenRegistry[Any]:
    return OpenRegistry("thing", {"ours": "lwmport.types:Status"}, GROUP, check)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what installs a package: a module, and the folder in which an installer writes down its entry points."""

    def install(name: str, module: str, entry: str = "theirs") -> None:
        folder = tmp_path / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"things_of_{name}.py").write_text(module)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry} = things_of_{name}:THING\n")
        monkeypatch.syspath_prepend(folder)

    return install


def test_a_record_of_another_package_stands_behind_ours(
    registry: OpenRegistry[Any], package: Callable[..., None]
) -> None:
    assert list(registry) == ["ours"]
    package("good", GOOD)
    assert list(registry) == ["ours", "theirs"]
    assert (len(registry), registry["theirs"].size, dict(registry.faults)) == (2, 2, {})


FAULTS = {
    "a_module_that_fails": ("1 / 0\n", "theirs", "ZeroDivisionError: division by zero"),
    "no_attribute": ("", "theirs", "AttributeError"),
    "a_record_of_another_name": (GOOD, "other", "to have that name, found 'theirs'"),
    "no_record": ("THING = 3\n", "theirs", "to have that name, found 'int'"),
    "a_record_that_is_refused": (GOOD.replace("size", "weight"), "theirs", "expected a thing with a size, found none"),
    "a_name_of_ours": (GOOD, "ours", "found lwmport (lwmport.types:Status) and a_name_of_ours (things_of_"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_that_cannot_be_used_costs_one_line(
    name: str, registry: OpenRegistry[Any], package: Callable[..., None]
) -> None:
    module, entry, said = FAULTS[name]
    package(name, module, entry)
    (fault,) = registry.faults.values()
    assert said in fault
    assert name in fault
    assert fault.endswith("; change or uninstall that package")
    assert "\n" not in fault
    assert list(registry) == ["ours"]
    assert registry["ours"].PASSED == "passed"
    if entry != "ours":
        for ask in (registry.require, registry.__getitem__):
            with pytest.raises(PortError, match="change or uninstall that package"):
                ask(entry)


def test_a_name_that_two_packages_have_is_nobody_s(registry: OpenRegistry[Any], package: Callable[..., None]) -> None:
    package("one", GOOD)
    package("two", GOOD)
    assert "theirs" not in registry
    assert "one (things_of_one:THING)" in registry.faults["theirs"]
    assert "two (things_of_two:THING)" in registry.faults["theirs"]


def test_an_unknown_name_is_met_with_the_nearest(registry: OpenRegistry[Any], package: Callable[..., None]) -> None:
    package("good", GOOD)
    with pytest.raises(UsageError, match="expected a thing out of ours, theirs, found 'thiers'; did you mean 'theirs'"):
        registry["thiers"]
