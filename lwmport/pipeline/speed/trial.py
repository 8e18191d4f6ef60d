"""One row, measured: in a process of its own, which opens the model once and is asked for row after row."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import memory
from lwmport.errors import RunnerError
from lwmport.pipeline.session import Session
from lwmport.pipeline.validate.subject import Subjects, subjects_of
from lwmport.pipeline.validate.test_inputs import numbers
from lwmport.runtime.registry import open_runner
from lwmport.runtime.session.layout import IDS
from lwmport.runtime.spec import RunnerContext
from lwmport.types import DECODE, Array, Runner, TensorSpec

QUANTILES: Final = {"p50": 50, "p90": 90, "p99": 99}


def measurer(path: Path, runner: str | None, threads: int) -> Callable[..., Any]:
    """Return what measures a row of a converted model: ``(input, output, batch, warm_up, repeat) -> facts``.

    ``lwmport.child.Server`` calls it in the process that is then asked.
    """
    found = subjects_of(path)
    if DECODE in found.made.phases:
        return _generation(Session(found.folder, runner=runner, threads=threads), dict(_ids(found)))
    (item,) = found.items
    context = RunnerContext(threads=threads, signature=item.part.signature, precision=item.hint)
    return _forward(open_runner(item.path, context, runner), item.part.signature.inputs)


def _ids(found: Subjects) -> Mapping[str, int]:
    """Return how many tokens there are, and whether a session is told which are codes."""
    part = next(one for one in found.made.components if one.name == found.made.phases[DECODE])
    specs = {spec.name: spec for spec in part.signature.inputs}
    _, most = specs[IDS].value_range or (0, 1)
    tables = specs[IDS].tables
    return {"rows": min(tables.rows) if tables else int(most) + 1, "codes": int("vision_masks" in specs)}


def _generation(session: Session, known: Mapping[str, int]) -> Callable[..., Any]:
    def measure(input: int, output: int, batch: int, warm_up: int, repeat: int) -> dict[str, Any]:  # noqa: A002
        random = np.random.default_rng(0)
        ids = random.integers(0, known["rows"], (batch, input + output))
        codes = np.zeros(ids.shape, bool) if known["codes"] else None

        def generate() -> list[float]:
            marks = [time.perf_counter()]
            session.prefill(ids[:, :input], vision_masks=None if codes is None else codes[:, :input])
            marks.append(time.perf_counter())
            for place in range(input, input + output - 1):
                new = slice(place, place + 1)
                session.step(ids[:, new], vision_masks=None if codes is None else codes[:, new])
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
