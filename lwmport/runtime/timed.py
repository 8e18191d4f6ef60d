"""Runs of a model one after the other, and how long those behind the first took."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lwmport.types import Array, Runner

REPEATS: Final = 3
PATIENCE: Final = 5.0
"""Each side is timed after its first run, up to three times but for no more than about five seconds."""


def timed_all(
    runner: Runner,
    feeds: Sequence[Mapping[str, Array]],
    outputs: list[Mapping[str, Array]],
    tell: Callable[[int], None] = lambda _: None,
) -> tuple[float, ...]:
    """Add the outputs of each run to ``outputs``; return the seconds of those behind the first that have its shapes.

    The first is run again where these are fewer than `REPEATS`. A runner that reads the weights as it goes is not
    timed. ``tell`` is called with the number of each run behind the first.
    """
    outputs.append(runner.run(feeds[0]))
    shapes = _shapes(feeds[0])
    taken: list[float] = []
    for number, feed in enumerate(feeds[1:], start=1):
        tell(number)
        start = time.perf_counter()
        outputs.append(runner.run(feed))
        if _shapes(feed) == shapes and not runner.streamed and len(taken) < REPEATS:
            taken.append(time.perf_counter() - start)
    return (*taken, *timings(runner, feeds[0], taken))


def _shapes(feed: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in feed.items()}


def timings(runner: Runner, inputs: Mapping[str, Array], before: Sequence[float] = ()) -> tuple[float, ...]:
    """Return the seconds of further runs; none of a runner that reads the weights as it goes.

    ``before`` are the seconds of runs that were timed already.
    """
    taken = list(before)
    while not runner.streamed and len(taken) < REPEATS and sum(taken) < PATIENCE:
        start = time.perf_counter()
        runner.run(inputs)
        taken.append(time.perf_counter() - start)
    return tuple(taken[len(before) :])
