"""Registries: lazy, and helpful about typing errors. Extras: one line that names the extra."""

import sys
from pathlib import Path
from typing import Final

import pytest

from lwmport import digest, extras, memory
from lwmport.converters import CONVERTERS
from lwmport.converters.dialects import DEFAULTS, DIALECTS, dialect_for
from lwmport.errors import MissingExtraError, PortError, UsageError
from lwmport.models.spec import FamilySpec
from lwmport.models.specs import FAMILIES
from lwmport.registry import Registry, load
from lwmport.runtime.spec import RunnerContext, RunnerSpec

REGISTRIES = {"families": FAMILIES, "converters": CONVERTERS}


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_every_entry_leads_to_something(registry: Registry) -> None:
    for name in registry:
        try:
            assert callable(registry[name]) or isinstance(registry[name], FamilySpec)
        except MissingExtraError as error:
            assert "pip install" in str(error)  # noqa: PT017 - an extra that is not installed says so


def test_every_format_has_a_default_dialect_and_every_dialect_a_format() -> None:
    assert set(DEFAULTS) == set(CONVERTERS)
    for name, dialect in DIALECTS.items():
        assert dialect.name == name
        assert dialect.format in CONVERTERS
        assert dialect.opsets[0] <= dialect.opset <= dialect.opsets[1]
        assert dialect_for(dialect.format, name) is dialect


def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'vqgan'"):
        FAMILIES["vqgn"]


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    registry = Registry("thing", {"x": "antigravity_that_does_not_exist:y"})
    assert "x" in registry
    assert list(registry) == ["x"]
    with pytest.raises(PortError, match=r"'antigravity_that_does_not_exist:y' of the thing 'x' .* No module named"):
        registry["x"]


FAULTS: Final = {
    "a module that fails": ("raise OSError('no\\ndisk')", "found OSError: no disk"),
    "a module that ends Python": ("raise SystemExit('no SDK')", "found SystemExit: no SDK"),
    "a module that needs another": ("import absent_module", "found ModuleNotFoundError: No module named"),
    "no attribute": ("", "found AttributeError: module 'theirs' has no attribute 'thing'"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_reference_that_leads_nowhere_is_one_line_that_names_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, said = FAULTS[case]
    (tmp_path / "theirs.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    for ask in (
        lambda: load("theirs:thing"),
        lambda: Registry("thing", {"x": "theirs:thing"})["x"],
        lambda: RunnerSpec(name="x", title="", suffixes=(".x",), opener="theirs:thing").open(Path(), RunnerContext()),
    ):
        with pytest.raises(PortError) as caught:
            ask()
        assert said in str(caught.value)
        assert "'theirs:thing'" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_error_of_ours_in_a_module_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from lwmport.errors import UsageError\nraise UsageError('expected tea')"
    (tmp_path / "theirs.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    with pytest.raises(UsageError, match=r"^expected tea$"):
        load("theirs:thing")


@pytest.mark.parametrize("module", extras.EXTRAS)
def test_a_missing_extra_is_one_line_that_names_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'lwmport\[{extras.EXTRAS[module]}\]'"):
        extras.require(module)


def test_digests_do_not_depend_on_key_order() -> None:
    assert digest.of_json({"a": 1, "b": [2]}) == digest.of_json({"b": [2], "a": 1})
    assert digest.of_json({"a": 1}) != digest.of_json({"a": 2})


def test_peak_memory_grows_with_use() -> None:
    before = memory.peak_bytes()
    block = bytearray(before + 64 * 2**20)
    block[::4096] = b"x" * len(range(0, len(block), 4096))
    assert memory.peak_bytes() >= before + 32 * 2**20
