"""Running a model file whose sender is unknown: in a process of its own, so that it can only end that process."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport import child, plain
from lwmport.errors import PortError, RunnerError, said
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.registry import open_runner, runner_for
from lwmport.runtime.spec import RunnerContext
from lwmport.runtime.timed import timed_all
from lwmport.types import Array, Runner

DEVICE_SECONDS: Final = 3600.0
"""What a vendor's runtime has at least, which may compile the model first."""

DEVICE_BYTES: Final = 1 << 62
"""No bound: a driver maps the memory of its device beside its own, and counts on all of it."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What came of the runs of a model: the outputs of each, or why the runtime refused these inputs.

    ``runner`` is the name of what ran it, ``said`` what the runtime printed, empty if all was well.
    """

    runner: str
    outputs: tuple[Mapping[str, Array] | PortError, ...]
    said: str = ""


def run_all(
    path: Path,
    trials: Sequence[Mapping[str, Array]],
    context: RunnerContext | None = None,
    runner: str | None = None,
    values: int = 0,
) -> Runs:
    """Return what a model makes of some inputs; it is opened once, by that runner or the usual one of its suffix.

    ``values`` are the bytes of the largest values within it, where they are known: see `lwmport.child.Bounds.of`.

    Raises:
        ChildError: the runtime died, or took more memory or time than it may.
        RunnerError: it refused the model.
        UsageError: no runner takes it.
        MissingExtraError: the runtime is not installed.
    """
    bounds, about = _bounds(path, trials, runner, values), f"the runs of {path.name}"
    answer = child.call(
        _outputs,
        {
            "path": path.absolute(),
            "trials": [dict(trial) for trial in trials],
            "context": plain.encode(context or RunnerContext()),
            "runner": runner,
        },
        bounds,
        about,
    )
    name, found = answer.value
    outputs = tuple(
        child.failure("RunnerError", item, about, bounds) if isinstance(item, str) else item for item in found
    )
    return Runs(runner=name, outputs=outputs, said=answer.said)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What came of the runs of a model up to the first that its runtime refused, and how long they took.

    ``runner`` and ``notes`` are as in `lwmport.types.Runner`; ``refusal`` is why it went no further, if it did not.
    """

    runner: str
    notes: tuple[str, ...]
    outputs: tuple[Mapping[str, Array], ...]
    seconds: tuple[float, ...]
    refusal: str


def time_all(
    path: Path,
    feeds: Sequence[Mapping[str, Array]],
    context: RunnerContext | None = None,
    runner: str | None = None,
    values: int = 0,
) -> Timed:
    """Return what a model makes of some inputs, and how long it takes; ``values`` as in `run_all`.

    Raises:
        ChildError: the runtime died, or took more memory or time than it may.
    """
    bounds, about = _bounds(path, feeds, runner, values), f"the runs of {path.name}"
    answer = child.call(
        _timed,
        {
            "path": path.absolute(),
            "feeds": [dict(feed) for feed in feeds],
            "context": plain.encode(context or RunnerContext()),
            "runner": runner,
        },
        bounds,
        about,
    )
    name, notes, outputs, seconds, refusal = answer.value
    refusal = str(child.failure("RunnerError", refusal, about, bounds)) if refusal else ""
    return Timed(runner=name, notes=notes, outputs=outputs, seconds=seconds, refusal=refusal)


def _bounds(path: Path, feeds: Sequence[Mapping[str, Array]], runner: str | None, values: int) -> child.Bounds:
    given = sum(array.nbytes for feed in feeds for array in feed.values())
    found = child.Bounds.of(held_bytes(path), values + given)
    if not runner_for(path, runner).device:
        return found
    return child.Bounds(seconds=max(found.seconds, DEVICE_SECONDS), nbytes=DEVICE_BYTES)


def _timed(
    path: Path, feeds: Sequence[Mapping[str, Array]], context: Mapping[str, Any], runner: str | None
) -> tuple[Any, ...]:
    known = plain.decode(RunnerContext, context, "the context of a run")
    name, refusal, outputs = path.suffix, "", list[Mapping[str, Array]]()
    notes: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()
    try:
        with contextlib.closing(open_runner(path, known, runner)) as opened:
            name, notes = opened.name, opened.notes
            seconds = timed_all(opened, feeds, outputs)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - runtimes raise dozens of unrelated types
        refusal = said(error)
    return name, notes, tuple(map(dict, outputs)), seconds, refusal


def _outputs(
    path: Path, trials: Sequence[Mapping[str, Array]], context: Mapping[str, Any], runner: str | None
) -> tuple[str, list[Any]]:
    known = plain.decode(RunnerContext, context, "the context of a run")
    with contextlib.closing(open_runner(path, known, runner)) as opened:
        return opened.name, [_attempt(opened, trial) for trial in trials]


def _attempt(runner: Runner, trial: Mapping[str, Array]) -> dict[str, Array] | str:
    try:
        return dict(runner.run(trial))
    except RunnerError as error:
        return str(error)
