"""One way to run a model, in a process of its own: it opens the model, gives its outputs, and is timed turn by turn."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lwmport import child, memory, plain
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array

SECONDS: Final = 600.0
"""What a question may take: opening and all runs of it."""

TURN: Final = 0.05
"""Seconds that a turn takes at least: a run that is shorter is run several times in it."""


def server(
    path: Path, engine: str, context: RunnerContext, feeds: Sequence[Mapping[str, Array]], timed: Mapping[str, Array]
) -> child.Server:
    """Return the process of one way; ``feeds`` are what its outputs are asked of, ``timed`` what is timed."""
    free = memory.free_bytes()
    arguments = {
        "path": path.absolute(),
        "engine": engine,
        "context": plain.encode(context),
        "feeds": [dict(feed) for feed in feeds],
        "timed": dict(timed),
    }
    bounds = child.Bounds.of(0)
    bounds = child.Bounds(seconds=max(bounds.seconds, SECONDS), nbytes=max(bounds.nbytes, free or 0))
    return child.Server(racer, arguments, bounds, f"the race of {path.name} in {engine}")


def racer(
    path: Path,
    engine: str,
    context: Mapping[str, Any],
    feeds: Sequence[Mapping[str, Array]],
    timed: Mapping[str, Array],
) -> Callable[..., Any]:
    """Return what answers: ``(outputs=True)`` or a turn, ``(outputs=False)``, each with the peak of memory."""
    start = time.perf_counter()
    opened = open_runner(path, plain.decode(RunnerContext, context, "the context of a race"), engine)
    opens = time.perf_counter() - start
    runs = _runs_of(lambda: opened.run(timed))

    def answer(*, outputs: bool) -> dict[str, Any]:
        if outputs:
            found = [dict(opened.run(feed)) for feed in feeds]
            return {"outputs": found, "opens": opens, "peak": memory.peak_bytes()}
        start = time.perf_counter()
        for _ in range(runs):
            opened.run(timed)
        return {"seconds": (time.perf_counter() - start) / runs, "peak": memory.peak_bytes()}

    return answer


def _runs_of(run: Callable[[], Any]) -> int:
    """Return how many runs make a turn; the first run of all, which warms up, decides nothing."""
    run()
    start = time.perf_counter()
    run()
    return max(1, round(TURN / max(time.perf_counter() - start, 1e-6)))
