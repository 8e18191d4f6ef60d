"""Running two models on the same inputs, in a process of their own: what the first takes, the second must take."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport import child
from lwmport.errors import ChildError, RunnerError
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.fix.memory_check import largest_within
from lwmport.targets.fix.test_inputs import Feed
from lwmport.targets.graphs.record import Graph
from lwmport.types import Array, Runner
from lwmport.validators.relative import is_float

Outputs: TypeAlias = Mapping[str, Array]

THREADS: Final = 2

HINT: Final = "give inputs that it takes: --inputs F.npz, an array for each input"

UNSTABLE: Final = 1e-6
"""The relative change of the inputs that a model has to bear for a trial with large ones to say anything."""


class UnopenedError(RunnerError):
    """A runtime refused a model, whatever its inputs."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Inputs that both models took, and what each made of them; ``near`` is what the first made of nearly the same.

    ``place`` is that of the inputs among all.
    """

    place: int
    feed: Feed
    before: Outputs
    after: Outputs
    near: Outputs | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model to run on those of some inputs that ``places`` tell, by the names that it has for them."""

    graph: Graph
    names: Mapping[str, str]
    places: Sequence[int]


Outcome: TypeAlias = "list[Outputs | RunnerError]"


def run(jobs: Sequence[Job], feeds: Sequence[Feed]) -> list[Outcome]:
    """Return what some models make of inputs, all in one process of its own. A model that is refused refuses them all.

    Raises:
        ChildError: the runtime died, or took more memory or time than it may.
    """
    answer = child.call(
        _run,
        {
            "models": [[job.graph.path.absolute(), dict(job.names), list(job.places)] for job in jobs],
            "feeds": [dict(feed) for feed in feeds],
        },
        child.Bounds.of(
            max(held_bytes(job.graph.path) for job in jobs),
            max(largest_within(job.graph) for job in jobs) + sum(one.nbytes for feed in feeds for one in feed.values()),
        ),
        about=f"the runs of {jobs[0].graph.path.name}",
    )
    return [
        [kind(one) if isinstance(one, str) else one for one in outcome]
        for kind, outcome in ((RunnerError if opened else UnopenedError, outcome) for opened, outcome in answer.value)
    ]


def _run(models: list[list[Any]], feeds: list[Feed]) -> list[list[Any]]:
    made = []
    for path, names, places in models:
        chosen = [{names[name]: array for name, array in feeds[place].items()} for place in places]
        try:
            with contextlib.closing(open_runner(path, RunnerContext(threads=THREADS))) as runner:
                made.append([True, [_attempt(runner, feed) for feed in chosen]])
        except RunnerError as error:
            made.append([False, [str(error)] * len(chosen)])
    return made


def _attempt(runner: Runner, feed: Feed) -> Outputs | str:
    try:
        return runner.run(feed)
    except RunnerError as error:
        return str(error)


def pair(
    before: Graph, after: Graph, names: Mapping[str, str], feeds: tuple[Sequence[Feed], Sequence[Feed]]
) -> list[Trial]:
    """Return the trials of two models, whose names for inputs ``names`` pair, on usual inputs and on others.

    The others are left out where the first model fails on them, or dies.

    Raises:
        ChildError: it dies, or takes too much memory or time, on the usual ones.
        RunnerError: it takes none of them, or the second not what the first takes.
    """
    usual, more = feeds
    shaken = [{name: shake(array) if is_float(array) else array for name, array in feed.items()} for feed in more]
    every, count = [*usual, *more, *shaken], len(usual) + len(more)
    same = {value.name: value.name for value in before.inputs}
    first = Job(graph=before, names=same, places=range(len(every)))
    try:
        made, mended = run([first, Job(graph=after, names=names, places=range(count))], every)
    except ChildError as error:
        if more and usual:
            return pair(before, after, names, (usual, ()))
        raise _culprit(error, first, every, after) from error
    refusals = [one for one in made[: len(usual)] if isinstance(one, RunnerError)]
    if usual and len(refusals) == len(usual):
        raise refusals[0] if isinstance(refusals[0], UnopenedError) else RunnerError(f"{refusals[0]}; {HINT}")
    found = []
    for place in range(count):
        outputs, other, near = made[place], mended[place], made[place + len(more)] if place >= len(usual) else None
        if isinstance(outputs, RunnerError) or isinstance(near, RunnerError):
            continue
        if isinstance(other, RunnerError):
            raise _not_alike(other, after.path)
        found.append(Trial(place=place, feed=every[place], before=outputs, after=other, near=near))
    return found


def _culprit(error: ChildError, first: Job, feeds: Sequence[Feed], after: Graph) -> RunnerError:
    """Return what to raise for the death of a process in which two models ran."""
    try:
        run([first], feeds)
    except ChildError as own:
        return ChildError(f"{own}; {HINT}", own.cause)
    return _not_alike(error, after.path)


def _not_alike(error: RunnerError, path: Path) -> RunnerError:
    said = str(error).replace(str(path), "it").replace(path.name, "it")
    return RunnerError(f"expected the mended model to run as the given one does, found: {said}; nothing was written")


def shake(array: Array) -> Array:
    """Return floats that differ in their last digits; those of half precision stay, for they have none to spare."""
    factor = 1 + UNSTABLE * np.where(np.arange(array.size).reshape(array.shape) % 2, 1, -1)
    return (array * factor).astype(array.dtype)
