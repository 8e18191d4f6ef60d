"""Running a model file whose sender is unknown: in a process of its own, so that it can only end that process."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport import child, plain
from lwmport.errors import PortError, RunnerError
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.registry import open_runner, runner_for
from lwmport.runtime.spec import RunnerContext
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
    spec = runner_for(path, runner)
    given = sum(array.nbytes for trial in trials for array in trial.values())
    bounds, about = child.Bounds.of(held_bytes(path), values + given), f"the runs of {path.name}"
    if spec.device:
        bounds = child.Bounds(seconds=max(bounds.seconds, DEVICE_SECONDS), nbytes=DEVICE_BYTES)
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
