"""The benchmark of planted faults: what it counts, what it calls near, and one fault and one clean conversion whole."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

CASE = "llama-head"


def results() -> ModuleType:
    return importlib.import_module("sabotage_results")


def fault(**fields: Any) -> Any:
    """Return a fault that the validators catch, and that has a rule."""
    usual = {
        "case": "a",
        "kind": "bias-missing",
        "group": "weights",
        "seed": 1,
        "node": "conv",
        "operator": "Conv",
        "nodes": ("conv",),
        "causes": ("missing-bias", "zeroed-weights"),
        "beyond": True,
        "caught": True,
    }
    return results().Fault(**{**usual, **fields})


def found(distance: int | None, cause: str | None = None) -> Any:
    return results().Search(node="conv", distance=distance, cause=cause, seconds=2.0, peak_bytes=1000)


def counted(faults: list[Any], clean: list[Any]) -> dict[str, tuple[int, int]]:
    return {row["what"]: (row["count"], row["of"]) for row in results().counts(faults, clean)}


def test_each_row_counts_what_it_says() -> None:
    faults = [
        fault(search=found(0, "missing-bias"), peer=found(2)),
        fault(search=found(1, "zeroed-weights"), peer=found(0)),
        fault(search=found(2, "stale-weights")),
        fault(search=found(0), causes=()),
        fault(search=results().Search(), caught=False),
        fault(search=found(0, "wrong-epsilon"), beyond=False, caught=False),
        fault(beyond=False, peer=results().Search()),
    ]
    clean = [results().Clean(case="a"), results().Clean(case="b", alarm="bisect --strict: conv")]
    assert counted(faults, clean) == {
        "change an output beyond its tolerance": (5, 7),
        "caught by the validators, of these": (4, 5),
        "caught though no element is beyond it": (1, 2),
        "bisect: at the very operator": (2, 5),
        "bisect: there or at a direct neighbour": (3, 5),
        "bisect: found nothing": (1, 5),
        "explained rightly, where a rule is": (2, 4),
        "explained by the exact word": (1, 4),
        "explained wrongly": (1, 5),
        "bisect --strict: near, where no output shows it": (1, 1),
        "bisect --strict: explained wrongly": (1, 1),
        "Polygraphy: there or at a direct neighbour (ONNX)": (1, 3),
        "bisect on the same files": (2, 2),
        "false alarms on clean conversions": (1, 2),
    }


def test_a_kind_without_a_rule_is_explained_wrongly_by_any_word() -> None:
    assert fault(causes=(), search=found(0, "stale-weights")).is_explained is False
    assert fault(causes=(), search=found(0)).is_explained is None


def test_the_table_names_every_miss_and_alarm() -> None:
    clean = [results().Clean(case="quiet"), results().Clean(case="loud", alarm="bisect --strict: mul: why")]
    faults = [fault(search=found(0)), fault(kind="dilated", seed=77, search=found(None))]
    text = results().markdown(results().Findings(setting={"seed": 3}, faults=faults, clean=clean))
    assert "dilated seed 77 in a, at conv (Conv)" in text
    assert "bias-missing seed" not in text
    assert "- loud: bisect --strict: mul: why" in text
    assert "quiet" not in text
    assert "bisect: 2.0 seconds at the median" in text


def test_every_kind_gets_its_turn_and_a_seed_its_plan() -> None:
    sabotage = importlib.import_module("sabotage")
    kinds = list(importlib.import_module("faults").KINDS)
    plan = sabotage.plan(2 * len(kinds), 7, kinds)
    assert sorted(kind for kind, _, _ in plan) == sorted(2 * kinds)
    assert plan == sabotage.plan(2 * len(kinds), 7, kinds)
    assert plan != sabotage.plan(2 * len(kinds), 8, kinds)
    assert all(set(cases) == set(importlib.import_module("sabotage_cases").FAULTY) for _, _, cases in plan)


def test_one_fault_can_be_planted_again(capsys: pytest.CaptureFixture[str]) -> None:
    sabotage, cases = importlib.import_module("sabotage"), importlib.import_module("sabotage_cases")
    parser = sabotage._parser()
    case = cases.FAULTY[3]
    assert sabotage._again(parser, "dilated", "12", case.name) == ("dilated", 12, [case])
    with pytest.raises(SystemExit):
        sabotage._again(parser, "dilated", "12", "no such conversion")
    assert repr(case.name) in capsys.readouterr().err


def test_there_are_50_clean_conversions_no_two_alike() -> None:
    clean = importlib.import_module("sabotage_cases").CLEAN
    assert len({case.name for case in clean}) == len(clean) == 50
    assert {case.precision for case in clean} == {"float32", "float16"}


@pytest.mark.parametrize(
    ("candidate", "share"), [([1.0, 2.0], 0), ([1.0, 2.2], 0.5), ([np.nan, 2.0], 0.5), ([1.0], 1), ([9.0, np.inf], 1)]
)
def test_an_element_is_beyond_its_tolerance(candidate: list[float], share: float) -> None:
    beyond = importlib.import_module("sabotage_trials")._share_beyond
    assert beyond(np.array([1.0, 2.0]), np.array(candidate), 0.0, 0.05) == share


def bench(folder: Path, **fields: Any) -> Any:
    trials = importlib.import_module("sabotage_trials")
    return trials.Bench(trials.Setup(work=str(folder), threads=1, **fields))


def attempt(**fields: Any) -> Any:
    trials, cases = importlib.import_module("sabotage_trials"), importlib.import_module("sabotage_cases")
    case = cases.Case(component=CASE, format="onnx", dialect="ascend")
    return trials.Attempt(case=case, **fields)


def test_a_fault_is_caught_and_placed_and_a_clean_conversion_is_not(tmp_path: Path) -> None:
    made = bench(tmp_path)
    wrong = made.run(attempt(kind="weights-zeroed", seed=2))["result"]
    assert wrong.beyond
    assert wrong.caught
    assert wrong.search.node in wrong.nodes
    assert wrong.search.distance == 0
    assert made.run(attempt(kind="resize-rounded"))["result"] is None
    clean = made.run(attempt())["result"]
    assert clean.alarm == ""
    assert clean.search.node == ""


def test_a_fault_that_only_a_later_run_shows_is_found(tmp_path: Path) -> None:
    """The comparison lies in a branch for caches that are padded, which the first inputs do not enter."""
    trials, cases = importlib.import_module("sabotage_trials"), importlib.import_module("sabotage_cases")
    case = cases.Case(component="llama-block", format="onnx", dialect="ort")
    wrong = bench(tmp_path).run(trials.Attempt(case=case, kind="comparison-changed", seed=1))["result"]
    assert wrong.caught
    assert wrong.search.error == ""
    assert wrong.search.distance == 0


def test_distance_counts_steps_along_tensors(tmp_path: Path) -> None:
    cases, distance = importlib.import_module("sabotage_cases"), importlib.import_module("faults.distance").distance
    model = cases.Case(component=CASE, format="onnx", dialect="ascend").convert(tmp_path / "model")
    draft = importlib.import_module("faults.onnx_draft").OnnxDraft(model)
    makers = {draft.outputs(operator)[0]: operator.name for operator in draft.operators}
    behind = next(one for one in draft.operators if one.type == "MatMul")
    before = makers[draft.inputs(behind)[0]]
    assert distance(model, model, [behind.name], behind.name) == 0
    assert distance(model, model, [behind.name], before) == 1
    assert distance(model, model, [before], behind.name) == 1
    assert distance(model, model, [before], "no such operator") is None
