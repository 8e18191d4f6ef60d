"""A LLaMA raced: prefill and decoding of everyone in turns, logits held against the baseline's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np
from llama_contenders import BASELINE, CONTENDERS, Contender
from llama_runners import DECODE, PREFILL, Case
from measure import Ratio, race, ratios
from workers import Worker

from lwmport.types import Array

STAGES = (PREFILL, DECODE)
Opening: TypeAlias = Callable[[str, Case], AbstractContextManager[Worker]]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One contender at one stage. A ratio is of seconds, to the baseline of the same round."""

    seconds: tuple[float, ...]
    tokens_per_second: float
    best_tokens_per_second: float
    ratio: Ratio


@dataclass(frozen=True, kw_only=True)
class Result:
    """One contender: its stages, how far its logits are from the baseline's, and its process's peak memory."""

    stages: Mapping[str, Speed]
    max_difference: float
    deviation: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What one turn took; the seconds of each stage."""

    seconds: Mapping[str, float]
    peak_bytes: int


def race_all(
    cases: Mapping[str, Case],
    tokens: Mapping[str, Array],
    rounds: int,
    left_out: dict[str, str],
    contenders: Mapping[str, Contender] = CONTENDERS,
    baseline: str = BASELINE,
) -> dict[str, Result]:
    """Return each contender's result.

    Everyone stays open through all rounds if memory allows, else is opened anew, and warmed up, for each turn.

    Args:
        cases: contender -> its model.
        tokens: stage -> int64 [1, n].
        rounds: how often everyone runs.
        left_out: contender -> why it cannot take part; who fails while it warms up is added.
        contenders: who they are.
        baseline: whom ratios are of, or the first if it takes no part.
    """
    opening = partial(_open, contenders)
    with ExitStack() as stack:
        held: dict[str, Worker] = {}
        keep: Opening = partial(_kept, opening, stack, held) if fit(cases) else opening
        logits = {}
        for name, case in cases.items():
            try:
                with keep(name, case) as worker:
                    logits[name] = _logits(worker, tokens)
            except RuntimeError as error:
                left_out[name] = str(error)
        turns = {name: partial(_visit, opening, name, cases[name], tokens, held.get(name)) for name in logits}
        visits = race(turns, rounds) if turns else {}
    if not visits:
        return {}
    baseline = baseline if baseline in visits else next(iter(visits))
    speeds = {stage: _speeds(stage, visits, baseline, tokens[stage].shape[1]) for stage in STAGES}
    return {
        name: Result(
            stages={stage: speeds[stage][name] for stage in STAGES},
            max_difference=float(np.abs(logits[name] - logits[baseline]).max()),
            deviation=float(np.std(logits[name])),
            peak_bytes=max(visit.peak_bytes for visit in visits[name]),
        )
        for name in visits
    }


def fit(cases: Mapping[str, Case]) -> bool:
    """Return whether all models may stay open at once: twice as much memory is free as they take."""
    files = (file for case in cases.values() for file in Path(case.path).parent.glob("*") if file.is_file())
    return 2 * sum(file.stat().st_size for file in files) <= free_bytes()


def free_bytes() -> int:
    """Return how much memory is free or can be freed."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _speeds(stage: str, visits: Mapping[str, list[Visit]], baseline: str, count: int) -> dict[str, Speed]:
    seconds = {name: [visit.seconds[stage] for visit in own] for name, own in visits.items()}
    by_name = ratios(seconds, baseline)
    return {
        name: Speed(
            seconds=tuple(own),
            tokens_per_second=count / median(own),
            best_tokens_per_second=count / min(own),
            ratio=by_name[name],
        )
        for name, own in seconds.items()
    }


def _visit(opening: Opening, name: str, case: Case, tokens: Mapping[str, Array], held: Worker | None) -> Visit:
    """Return what the stages took in one turn."""
    with _worker(opening, name, case, tokens, held) as worker:
        turns = {stage: worker.run({stage: tokens[stage]}) for stage in STAGES}
    seconds = {stage: turn.seconds for stage, turn in turns.items()}
    return Visit(seconds=seconds, peak_bytes=max(turn.peak_bytes for turn in turns.values()))


def _logits(worker: Worker, tokens: Mapping[str, Array]) -> Array:
    """Return the logits [1, n, vocabulary] of all stages one after the other; it warms up whoever stays open."""
    return np.concatenate([worker.run({stage: tokens[stage]}).outputs["logits"] for stage in STAGES], axis=1)


@contextmanager
def _worker(
    opening: Opening, name: str, case: Case, tokens: Mapping[str, Array], held: Worker | None
) -> Iterator[Worker]:
    """Give the process that stays open, or a new one, warmed up, for this turn."""
    if held is not None:
        yield held
        return
    with opening(name, case) as worker:
        for stage in STAGES:
            worker.run({stage: tokens[stage]})
        yield worker


def _open(contenders: Mapping[str, Contender], name: str, case: Case) -> closing[Worker]:
    return closing(Worker(name, contenders[name].opened, case, case.interpreter))


def _kept(opening: Opening, stack: ExitStack, held: dict[str, Worker], name: str, case: Case) -> nullcontext[Worker]:
    """Open a process that stays open as long as the stack, and note it."""
    held[name] = stack.enter_context(opening(name, case))
    return nullcontext(held[name])
