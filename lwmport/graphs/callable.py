"""A program as a JAX function again, for those who lower it with JAX's own means."""

from collections.abc import Callable
from typing import Any

from jax.extend import core

from lwmport.graphs.program import Program


def callable_of(program: Program) -> Callable[..., list[Any]]:
    """Return the function of a program: weights and then inputs in, outputs out, each in the program's order.

    Composites are decomposed, for few readers of StableHLO know how to open one.
    """
    flat = program.expand(lambda _: False)
    evaluate: Callable[..., list[Any]] = core.jaxpr_as_fun(flat.closed)
    return evaluate
