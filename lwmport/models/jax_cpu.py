"""JAX's CPU, with a number of threads that gives the same bits on every machine."""

import contextlib
import os
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from lwmport.processors import processors

THREADS: Final = "NPROC"
"""The variable from which XLA takes the number of its threads when its CPU is first asked for. Without it, it takes the
number of processors that the process may use (``DefaultThreadPoolSize`` in xla/pjrt/utils.cc)."""

LEAST: Final = 2


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Let JAX, if it starts inside the block, start with two threads at least.

    XLA sums in another order on one thread than on two or more. 2, 3, 8 and 64 threads gave the same bits, of both
    halves of the VQGAN and of a language model. Where the caller has started JAX before on one processor, or has set
    the variable, it stays as it is.
    """
    alone = processors() < LEAST and THREADS not in os.environ
    if alone:
        os.environ[THREADS] = str(LEAST)
    try:
        yield
    finally:
        if alone:
            del os.environ[THREADS]


@cache
def cpu() -> Any:
    """Return JAX's CPU, started as `steady` says."""
    import jax

    with steady():
        return jax.devices("cpu")[0]
