"""Processes that make blocks of ggml beside this one, one for each processor, `MOST` of them.

The search for the scales of a K-quant is compiled there, which small tensors are not worth; what is left of numpy are
many short calls. Threads of one process take turns at Python's lock between them; processes do not.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from queue import SimpleQueue
from typing import Final

from lwmport import child
from lwmport.ggml_kinds import KINDS
from lwmport.models.jax_cpu import THREADS
from lwmport.processors import processors
from lwmport.quantise.ggml.blocks import OWN, quantised
from lwmport.types import Array

LEAST_VALUES: Final = 1 << 22
"""Values of a tensor for which a process is started: it takes as long to start as one core takes for them."""

MOST: Final = 4
"""Processes at once: this one reads and turns values a few times as fast as one of them rounds."""

NBYTES: Final = 190_000_000
"""Bytes of anonymous memory of such a process, most of them JAX's."""

SECONDS: Final = 600.0
"""What the blocks of a few MiB may take."""


class BlockWorkers:
    """Processes that are asked for blocks, and a thread for each that waits for it.

    A process ends with the thread that started it, so the threads stay until all is done.
    """

    def __init__(self) -> None:
        self.count = count()
        self.pool = ThreadPoolExecutor(self.count, "blocks")
        bounds = child.Bounds(seconds=SECONDS, nbytes=child.Bounds.of(0).nbytes)
        self._servers = [child.Server(_answering, {}, bounds, "the rounding of blocks") for _ in range(self.count)]
        self._idle: SimpleQueue[child.Server] = SimpleQueue()
        for server in self._servers:
            self._idle.put(server)

    def quantised(self, values: Array, kind: str) -> Array:
        """Return the bytes of whole blocks, uint8 [blocks, bytes], made by a process that is idle."""
        server = self._idle.get()
        try:
            found: Array = server.ask(values=values, kind=kind)
        finally:
            self._idle.put(server)
        return found

    def close(self) -> None:
        """End the processes, once the questions that are under way are answered."""
        self.pool.shutdown(cancel_futures=True)
        for server in self._servers:
            server.close()


_HERE: ContextVar[BlockWorkers | None] = ContextVar("block workers", default=None)


@contextlib.contextmanager
def block_workers() -> Iterator[None]:
    """Have processes for large tensors in this block; the first such tensor starts them."""
    workers = BlockWorkers()
    token = _HERE.set(workers)
    try:
        yield
    finally:
        _HERE.reset(token)
        workers.close()


def count() -> int:
    """Return how many processes there are for large tensors."""
    return min(processors(), MOST)


def is_large(kind: str, values: int) -> bool:
    """Return whether processes make a tensor's blocks; for others, threads of this one are as good."""
    return kind in OWN and values >= LEAST_VALUES


def workers_for(kind: str, values: int) -> BlockWorkers | None:
    """Return the processes that make a tensor's blocks; None where there are none, or it `is_large` not."""
    return _HERE.get() if is_large(kind, values) else None


def _answering() -> Callable[..., Array]:
    """Return what answers questions in a process, where JAX has one processor and one thread."""
    os.environ |= {"JAX_PLATFORMS": "cpu", THREADS: "1"}

    def answer(values: Array, kind: str) -> Array:
        return quantised(values, KINDS[kind], compiled=True)

    return answer
