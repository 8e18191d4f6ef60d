"""Every target's record is complete, and no code outside a target's own folder asks for it by name."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lwmport.converters import CONVERTERS
from lwmport.converters.dialects import DIALECTS, dialect_for
from lwmport.errors import PortError, UsageError
from lwmport.registry import load
from lwmport.targets.compile.job import PRECISIONS
from lwmport.targets.compile.vendor import Vendor
from lwmport.targets.dialects import ALL_DIALECTS, target_of
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.machine import Machine
from lwmport.targets.fix.fixes import Fixes
from lwmport.targets.operators import OperatorList
from lwmport.targets.registry import TARGETS
from lwmport.targets.target import OPTIONS, Target
from lwmport.types import Severity

PACKAGE = Path(__file__).parents[2] / "lwmport"
OURS = list(TARGETS.table)

ELSEWHERE = {
    "targets/registry.py": "the table itself",
    "graphs/evaluate.py": "a platform of JAX",
    "models/jax_cpu.py": "a platform of JAX",
    "checkpoints/block_workers.py": "a platform of JAX",
    "runtime/": "names of runners, and devices of JAX and PyTorch",
    "pipeline/evaluate/clip/judge.py": "a device of PyTorch",
    "converters/saved_model/xla.py": "a platform of JAX",
    "handoff/standalone.py": "names of verify.py's runtimes",
}
"""File or folder in which a text is a target's name -> what it means there."""


@pytest.mark.parametrize("name", OURS)
def test_a_record_is_complete(name: str) -> None:
    target = TARGETS[name]
    assert target.name == name
    assert all((target.title, target.summary, target.dialects, target.rule_table))
    assert callable(target.compile_artifact)
    assert target.precision in PRECISIONS
    assert bool(target.chips) != bool(target.engines), "--soc names chips or engines"
    assert isinstance(target.fix_table, Fixes)
    assert isinstance(target.machine_doctor, Doctor)
    assert set(target.operator_lists) <= set(target.formats)
    assert all(isinstance(target.operator_list(form), OperatorList) for form in target.operator_lists)
    assert not target.prepare or callable(load(target.prepare))
    assert not target.engines or set(target.formats) <= set(load(target.engines))


@pytest.mark.parametrize("name", OURS)
def test_every_dialect_of_a_target_can_be_asked_for(name: str) -> None:
    target = TARGETS[name]
    for form in target.formats:
        assert form in CONVERTERS
        assert target.dialects_of(form)[0] == target.formats[form].name
    for dialect in target.dialects:
        assert dialect_for(dialect.format, dialect.name, extra=ALL_DIALECTS) is dialect
        assert target_of(dialect.name) == (None if dialect.name in DIALECTS else name)


def test_every_rule_has_an_id_of_its_own() -> None:
    ids = [rule.id for name in OURS for rule in TARGETS[name].rule_table]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", OURS)
def test_the_usual_chip_is_known_and_so_is_a_part_of_it(name: str) -> None:
    target = TARGETS[name]
    assert not target.usual_chip or target.chip(target.usual_chip) is target.chips[target.usual_chip]
    assert all(chip.name == key and chip.family for key, chip in target.chips.items())
    assert target.chip("none") is None
    assert (TARGETS["ascend"].chip("Ascend310P3vir04") or target).name == "Ascend310P3"


@pytest.mark.parametrize("name", OURS)
def test_the_checks_of_a_target_run_on_a_machine_that_has_nothing(name: str) -> None:
    doctor = TARGETS[name].machine_doctor
    assert doctor is not None
    for check in doctor.checks:
        for severity, found, fix in check.look(Machine()):
            assert severity in Severity
            assert found
            assert fix
    assert set(doctor.cards) <= set(doctor.commands)


@pytest.mark.parametrize("name", OURS)
def test_a_compiler_says_whose_it_is(name: str) -> None:
    compiler = TARGETS[name].compile_artifact
    if isinstance(compiler, Vendor):
        assert compiler.target == name
        assert compiler.programs
        assert {"extra", "toolchain", "chip"} <= set(TARGETS[name].options)
    else:
        assert not set(TARGETS[name].options) & {"extra", "toolchain"}


def test_every_option_is_taken_by_someone() -> None:
    assert {option for name in OURS for option in TARGETS[name].options} == set(OPTIONS)


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no format": ({"formats": {}}, "expected a dialect for at least one format"),
    "another format": ({"formats": {"tflite": DIALECTS["ort"]}}, "expected a dialect of tflite, found 'ort' of onnx"),
    "option": ({"options": ("chips",)}, "did you mean 'chip'"),
    "chip": ({"usual_chip": "Ascend999"}, "expected a chip of ascend out of"),
    "precision": ({"checked_precision": "int8"}, "expected a checked_precision out of"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_record_that_contradicts_itself_is_none(name: str) -> None:
    changed, said = CONTRADICTIONS[name]
    with pytest.raises(UsageError, match=said):
        replace(TARGETS["ascend"], **changed)


def test_a_dialect_of_another_target_s_name_is_refused() -> None:
    other = replace(TARGETS["ascend"], name="other")
    known: dict[str, Target] = {name: TARGETS[name] for name in OURS}
    with pytest.raises(PortError, match="another name for the dialect 'ascend', which the target 'ascend' has"):
        TARGETS._check(other, known)
    taken = replace(other, formats={"onnx": replace(DIALECTS["ort"], summary="mine")}, others=())
    with pytest.raises(PortError, match="another name for the dialect 'ort', which lwmport has"):
        TARGETS._check(taken, known)
    TARGETS._check(replace(other, formats={"onnx": DIALECTS["ort"]}, others=()), known)


def literals(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_only_a_target_s_own_folder_names_it() -> None:
    named = {
        path.relative_to(PACKAGE).as_posix(): found
        for path in sorted(PACKAGE.rglob("*.py"))
        if (found := literals(path) & set(OURS))
    }
    wrong = {
        place: names
        for place, names in named.items()
        if not place.startswith(tuple(ELSEWHERE)) and not all(place.startswith(f"targets/{name}/") for name in names)
    }
    assert not wrong, "ask the target's record instead"
    assert all(any(place.startswith(start) for place in named) for start in ELSEWHERE), "an exception that is none"
