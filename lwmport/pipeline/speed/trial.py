"""One row, measured: in a process of its own, which opens the model once and is asked for row after row."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport import memory
from lwmport.errors import RunnerError
from lwmport.pipeline.session import Session
from lwmport.pipeline.validate.subject import Subjects, subjects_of
from lwmport.pipeline.validate.test_inputs import numbers
from lwmport.processors import processors
from lwmport.runtime.registry import open_runner
from lwmport.runtime.session.layout import CODES, EMBEDS, IDS
from lwmport.runtime.spec import RunnerContext
from lwmport.types import DECODE, PREFILL, Array, Runner, TensorSpec

QUANTILES: Final = {"p50": 50, "p90": 90, "p99": 99}


def measurer(path: Path, runner: str | None, threads: int | None) -> Callable[..., Any]:
    """Return what measures a row of a converted model: ``(input, output, batch, warm_up, repeat) -> facts``.

    ``lwmport.child.Server`` calls it in the process that is then asked.
    """
    found = subjects_of(path)
    if DECODE in found.made.phases:
        folder = found.place if found.compiled else found.folder
        return _generation(Session(folder, runner=runner, threads=threads), *_taken(found))
    (item,) = found.items
    runner, threads = runner or item.runner or None, threads or item.threads or processors()
    context = RunnerContext(threads=threads, signature=item.part.signature, precision=item.hint)
    return _forward(open_runner(item.path, context, runner), item.part.signature.inputs)


Taken: TypeAlias = Mapping[str, TensorSpec]
"""The inputs of a phase, by name."""


def _taken(found: Subjects) -> tuple[Taken, Taken]:
    """Return what the prefill and the decode of a language model take."""
    parts = {part.name: {spec.name: spec for spec in part.signature.inputs} for part in found.made.components}
    phases = found.made.phases
    return parts[phases.get(PREFILL, phases[DECODE])], parts[phases[DECODE]]


def _tokens(taken: Taken, batch: int, count: int, random: np.random.Generator) -> dict[str, Any]:
    """Return drawn tokens as a session takes them: words, or embeddings of standard deviation 1."""
    if EMBEDS in taken:
        return {EMBEDS: random.standard_normal((batch, count, int(taken[EMBEDS].shape[-1])), np.float32)}
    _, most = taken[IDS].value_range or (0, 1)
    tables = taken[IDS].tables
    ids = random.integers(0, min(tables.rows) if tables else int(most) + 1, (batch, count))
    return {IDS: ids, **({CODES: np.zeros(ids.shape, bool)} if CODES in taken else {})}


def _generation(session: Session, first: Taken, later: Taken) -> Callable[..., Any]:
    def measure(input: int, output: int, batch: int, warm_up: int, repeat: int) -> dict[str, Any]:  # noqa: A002
        random = np.random.default_rng(0)
        prompt, new = _tokens(first, batch, input, random), _tokens(later, batch, output, random)

        def generate() -> list[float]:
            marks = [time.perf_counter()]
            session.prefill(**prompt)
            marks.append(time.perf_counter())
            for place in range(output - 1):
                session.step(**{name: array[:, place : place + 1] for name, array in new.items()})
                marks.append(time.perf_counter())
            return list(np.diff(marks))

        for _ in range(warm_up):
            generate()
        runs = [generate() for _ in range(repeat)]
        session.reset()
        further = [taken for run in runs for taken in run[1:]]
        return {
            "first": float(np.median([run[0] for run in runs])),
            "next": _quantiles(further),
            "run": _quantiles([sum(run) for run in runs]),
            "rate": batch * output * repeat / sum(map(sum, runs)),
            "peak_bytes": memory.peak_bytes(),
        }

    return measure


def _forward(runner: Runner, specs: tuple[TensorSpec, ...]) -> Callable[..., Any]:
    def measure(input: int, output: int, batch: int, warm_up: int, repeat: int) -> dict[str, Any]:  # noqa: A002
        del input, output  # a model without tokens has none
        _check_batch(specs, batch)
        random = np.random.default_rng(0)
        feeds: dict[str, Array] = {spec.name: numbers(spec, batch, random) for spec in specs}
        for _ in range(warm_up):
            runner.run(feeds)
        taken = []
        for _ in range(repeat):
            start = time.perf_counter()
            runner.run(feeds)
            taken.append(time.perf_counter() - start)
        found = {"run": _quantiles(taken), "rate": batch * repeat / sum(taken), "peak_bytes": memory.peak_bytes()}
        return {"first": None, "next": {}, **found}

    return measure


def _check_batch(specs: tuple[TensorSpec, ...], batch: int) -> None:
    """Return if a model takes a batch.

    Raises:
        RunnerError: it was converted for another one.
    """
    fixed = specs[0].shape[0] if specs and specs[0].shape else None
    if isinstance(fixed, int) and fixed != batch:
        raise RunnerError(
            f"expected a batch of {fixed}, as the model was converted for, found {batch}; "
            "convert it with --batch dynamic"
        )


def _quantiles(taken: list[float]) -> dict[str, float]:
    return {name: float(np.percentile(taken, share)) for name, share in QUANTILES.items()} if taken else {}
