"""The judge of greedy tokens: what a seed makes, and what a row says of an engine that differs."""

import importlib
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("judge_engines")


def case(judge: ModuleType) -> tuple[Any, Any]:
    """Return a task of three tokens, and what the reference gives for it."""
    return judge.Task(seed=1, config={}, ids=[3], count=3), judge.Reference(tokens=[5, 6, 7], gaps=[0.5, 0.25, 1e-5])


def test_a_seed_makes_one_model_and_one_prompt(judge: ModuleType) -> None:
    first, other = judge.task_of(3, 16, 24), judge.task_of(4, 16, 24)
    assert first == judge.task_of(3, 16, 24)
    assert first.config != other.config
    assert first.ids != other.ids
    for task in (first, other):
        assert len(task.ids) == 16
        assert max(task.ids) < task.config["vocab_size"]
        assert task.config["num_attention_heads"] % task.config["num_key_value_heads"] == 0
        assert task.config["intermediate_size"] % 32 == 0  # a block of 8 bits


@pytest.mark.parametrize(
    ("tokens", "place", "gap"), [([5, 6, 7], None, None), ([5, 9, 7], 1, 0.25), ([5, 6], 2, 1e-5), ([], 0, 0.5)]
)
def test_a_row_says_where_an_engine_differs_and_how_near_it_was(
    judge: ModuleType, tokens: list[int], place: int | None, gap: float | None
) -> None:
    task, told = case(judge)
    row = judge._row(task, "f32", "one", told, tokens)
    assert (row.same, row.place, row.gap) == (place is None, place, gap)
    assert ("the same tokens" in judge._line(row)) == row.same


def test_an_engine_that_fails_is_a_row_of_its_own(judge: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    task, told = case(judge)
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="Traceback\nValueError: no such model\n")
    monkeypatch.setattr(judge.subprocess, "run", lambda *_, **__: failed)
    row = judge._peer(task, "f16", "one", told, "python", Path("model.gguf"))
    assert (row.same, row.error) == (False, "ValueError: no such model")
