"""One half of the model, raced: everyone warmed up and held against JAX, then timed in turns."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from statistics import median

from accuracy import Accuracy, compare
from contenders import BASELINE, CONTENDERS, REFERENCE, Case
from measure import Ratio, race, ratios
from workers import Turn, Worker

from lwmport.types import Array

WARMING = 2
"""Runs before the first round: the first one compiles or allocates."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One contender on one half. A ratio is to the baseline of the same round."""

    seconds: tuple[float, ...]
    median_seconds: float
    ratio: Ratio
    accuracy: Accuracy
    peak_bytes: int


def reference(case: Case, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return JAX's outputs, by name."""
    with closing(_worker(REFERENCE, case)) as worker:
        return dict(worker.run(inputs).outputs)


def race_half(
    cases: Mapping[str, Case], inputs: Mapping[str, Array], expected: Mapping[str, Array], rounds: int
) -> dict[str, Result]:
    """Return each contender's result; the baseline is `BASELINE` if it takes part, else the first."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(closing(_worker(name, case))) for name, case in cases.items()}
        turns = {name: [worker.run(inputs) for _ in range(WARMING)][-1] for name, worker in workers.items()}
        accuracies = {name: compare(turn.outputs, expected) for name, turn in turns.items()}
        seconds = race({name: partial(_timed, worker, inputs) for name, worker in workers.items()}, rounds)
        peaks = {name: turn.peak_bytes for name, turn in turns.items()}
    by_name = ratios(seconds, BASELINE if BASELINE in cases else next(iter(cases)))
    return {name: _result(seconds[name], by_name[name], accuracies[name], peaks[name]) for name in cases}


def _worker(name: str, case: Case) -> Worker:
    return Worker(name, CONTENDERS[name].opened, case)


def _timed(worker: Worker, inputs: Mapping[str, Array]) -> float:
    turn: Turn = worker.run(inputs)
    return turn.seconds


def _result(seconds: list[float], ratio: Ratio, accuracy: Accuracy, peak: int) -> Result:
    return Result(
        seconds=tuple(seconds), median_seconds=median(seconds), ratio=ratio, accuracy=accuracy, peak_bytes=peak
    )
