"""Whether there is memory for what a command loads: asked before it loads it, for a framework that gets none aborts.

A limit of the address space (``ulimit -v``) bounds what is reserved, not what is used, and frameworks reserve much:
stacks and heaps of their threads, one for each processor. Measured with two processors, jax 0.7 and tensorflow 2.20:
VmPeak of the debug models was 1.6 GiB where JAX runs, 1.8 GiB with ONNX Runtime beside it, and 2.4 GiB with TensorFlow.
"""

from collections.abc import Sequence
from typing import Final

from lwmport import memory
from lwmport.errors import PortError
from lwmport.processors import processors

MIB: Final = 1 << 20

THREAD: Final = 160 * MIB
"""Address space for each processor: the threads of several pools, a stack and a heap each."""

RUNTIMES: Final = 1500 * MIB, 320 * MIB
"""Address space and memory of a process with JAX and ONNX Runtime, that has a small model."""

TENSORFLOW: Final = 2450 * MIB, 650 * MIB
"""The same with TensorFlow besides."""

FILES: Final = 500 * MIB, 120 * MIB
"""The same of one that reads and writes files with numpy."""

LOADED: Final = {
    **dict.fromkeys(
        ("bench", "bundle", "compare", "compile", "convert", "eval", "plan", "port", "validate", "verify"), RUNTIMES
    ),
    **dict.fromkeys(("check", "checkpoint"), FILES),
}
"""What each command loads; the others load little."""

OF_TENSORFLOW: Final = ("saved_model", "frozen_graph", "tf2onnx")
"""Words of a command line that bring TensorFlow."""


def check(command: str | None, words: Sequence[str]) -> None:
    """Return if there is memory for what a command loads.

    Raises:
        PortError: there is less than it needs whatever the model is.
    """
    if command not in LOADED or any(word in {"--help", "-h"} for word in words):
        return
    brings = any(name in word for word in words for name in OF_TENSORFLOW)
    space, resident = TENSORFLOW if brings and LOADED[command] is RUNTIMES else LOADED[command]
    space += THREAD * processors()
    limit, free = memory.address_space(), memory.free_bytes()
    if limit is not None and limit < space:
        raise PortError(
            f"expected at least {space:,} bytes of address space for {command}, found a limit of {limit:,}; raise it "
            "(ulimit -v unlimited)"
        )
    if free is not None and free < resident:
        raise PortError(
            f"expected at least {resident:,} bytes of free memory for {command}, found {free:,}; close other programs "
            "or raise the limit of the container"
        )
