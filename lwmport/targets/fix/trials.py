"""Running two models on the same inputs, each in a process of its own: what the first takes, the second must take."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.errors import ChildError, RunnerError
from lwmport.runtime.isolated import Runs, run_all
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.fix.memory_check import largest_within
from lwmport.targets.fix.test_inputs import Feed
from lwmport.targets.graphs.record import Graph
from lwmport.types import Array
from lwmport.validators.relative import is_float

Outputs = Mapping[str, Array]

THREADS: Final = 2

HINT: Final = "give inputs that it takes: --inputs F.npz, an array for each input"

UNSTABLE: Final = 1e-6
"""The relative change of the inputs that a model has to bear for a trial with large ones to say anything."""


def run(graph: Graph, feeds: Sequence[Feed]) -> Runs:
    """Return what a model makes of some inputs.

    Raises:
        ChildError: the runtime died, or took more memory or time than it may.
        RunnerError: it refused the model.
    """
    return run_all(graph.path, feeds, RunnerContext(threads=THREADS), values=largest_within(graph))


def first(graph: Graph, usual: Sequence[Feed], more: Sequence[Feed]) -> list[tuple[Feed, Outputs, Outputs | None]]:
    """Return the inputs that a model takes with what it makes of them, and of nearly the same: None for the usual ones.

    ``more`` are left out where the model fails on them, or dies.

    Raises:
        ChildError: it dies, or takes too much memory or time, on the usual ones.
        RunnerError: it takes none of them.
    """
    if not usual and not more:
        return []
    shaken = [{name: shake(array) if is_float(array) else array for name, array in feed.items()} for feed in more]
    try:
        found = run(graph, [*usual, *more, *shaken]).outputs
    except ChildError as error:
        if not more:
            raise ChildError(f"{error}; {HINT}", error.cause) from error
        return first(graph, usual, ())
    kept: list[tuple[Feed, Outputs, Outputs | None]] = []
    for feed, outputs in zip(usual, found, strict=False):
        kept += [] if isinstance(outputs, RunnerError) else [(feed, outputs, None)]
    refusals = [outputs for outputs in found[: len(usual)] if isinstance(outputs, RunnerError)]
    if refusals and not kept:
        raise RunnerError(f"{refusals[0]}; {HINT}")
    pairs = zip(more, found[len(usual) :], found[len(usual) + len(more) :], strict=False)
    for feed, outputs, near in pairs:
        if not isinstance(outputs, RunnerError) and not isinstance(near, RunnerError):
            kept.append((feed, outputs, near))
    return kept


def second(graph: Graph, feeds: Sequence[Feed]) -> list[Outputs]:
    """Return what a mended model makes of the inputs that the given one takes.

    Raises:
        RunnerError: it does not take one of them, or does not run at all.
    """
    if not feeds:
        return []
    try:
        found = run(graph, feeds).outputs
    except RunnerError as error:
        raise _not_alike(error, graph.path) from error
    refusal = next((outputs for outputs in found if isinstance(outputs, RunnerError)), None)
    if refusal is not None:
        raise _not_alike(refusal, graph.path)
    return [outputs for outputs in found if not isinstance(outputs, RunnerError)]


def _not_alike(error: RunnerError, path: Path) -> RunnerError:
    said = str(error).replace(str(path), "it").replace(path.name, "it")
    return RunnerError(f"expected the mended model to run as the given one does, found: {said}; nothing was written")


def shake(array: Array) -> Array:
    """Return floats that differ in their last digits; those of half precision stay, for they have none to spare."""
    factor = 1 + UNSTABLE * np.where(np.arange(array.size).reshape(array.shape) % 2, 1, -1)
    return (array * factor).astype(array.dtype)
