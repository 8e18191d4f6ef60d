"""What a rank of a ring holds of a prompt, for several numbers of ranks, and how far the logits are from one rank's.

``python benchmarks/ring.py PARTS --tokens 4096 --ranks 1 2 4``; docs/ring.md says what PARTS is. Memory is anonymous
memory at its highest, less what each process had after prefills of one piece a rank: weights, and what runtimes keep.
"""

import argparse
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lwmport.pipeline.ring.session import ring_session
from lwmport.types import Array

INTERVAL = 0.02
"""Seconds between two looks at the memory."""

WARM = 3
"""Prefills before the measured one: a runtime plans its memory in the second run of a shape."""


def main() -> None:
    """Print a line for each number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", type=Path)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--chunk", type=int, default=256)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--vocabulary", type=int, default=4000)
    asked = parser.parse_args()
    ids = np.random.default_rng(0).integers(0, asked.vocabulary, (1, asked.tokens))
    first: Array | None = None
    for ranks in asked.ranks:
        logits, seconds, memory = measured(asked.parts, ranks, ids, asked.chunk)
        first = logits if first is None else first
        error = float(np.abs(logits - first).max())
        held = ", ".join(f"{size:.0f}" for size in memory)
        print(f"{ranks} ranks: MB a rank {held}; prefill {seconds:.1f} s; largest difference {error:.1e}")


def measured(parts: Path, ranks: int, ids: Array, chunk: int) -> tuple[Array, float, list[float]]:
    """Return the last logits, the seconds of the prefill and the megabytes that it took in each process."""
    with ring_session(parts, ranks=ranks) as session:
        for _ in range(WARM):
            session.prefill(ids[:, : chunk * ranks], chunk=chunk)
        with growth() as memory:
            start = time.perf_counter()
            found = session.prefill(ids, chunk=chunk)
            seconds = time.perf_counter() - start
    return next(iter(found.values())), seconds, memory


@contextlib.contextmanager
def growth() -> Iterator[list[float]]:
    """Yield a list that holds, when the block is over, how much this process and each of its children grew at most."""
    members, found = [os.getpid(), *children()], list[float]()
    before = [anonymous(process) for process in members]
    peaks, done = list(before), threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            peaks[:] = [max(peak, anonymous(process)) for peak, process in zip(peaks, members, strict=True)]

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found += [peak - start for peak, start in zip(peaks, before, strict=True)]


def children() -> list[int]:
    """Return the processes that this one has started."""
    own = Path(f"/proc/{os.getpid()}/task")
    return [int(word) for task in own.iterdir() for word in (task / "children").read_text().split()]


def anonymous(process: int) -> float:
    """Return the megabytes of anonymous memory of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")) * 1024 / 1e6


if __name__ == "__main__":
    main()
