"""What is right but in another order: an output whose layout is mistaken, or whose channels are exchanged."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence
from lwmport.diagnosis.formulas.rotary import is_rotary
from lwmport.diagnosis.orders import order_of
from lwmport.diagnosis.reading import given, plain
from lwmport.diagnosis.roles import is_query_key
from lwmport.diagnosis.suspicion import Suspicion
from lwmport.types import Array

SAME: Final = 1e-4
"""Share of the magnitude up to which two slices of an output are the same."""

MOVED: Final = frozenset({"transpose", "reshape"})


def other_layouts(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of an output, or of the first input, that is read in another order of axes."""
    reference, side = evidence.reference, evidence.expected
    if reference.ndim in {3, 4} and (side is None or plain(side.type) not in MOVED):
        for order in _orders(reference.ndim):
            says = f"The output has its values in the order of the axes {order}, under the right shape."
            yield Suspicion(cause="wrong-layout", says=says, predicted=partial(_read_as, reference, order))
    x = None if side is None else given(side, 0)
    if side is not None and x is not None and plain(side.type) == "transpose":
        yield Suspicion(
            cause="wrong-layout",
            says="The values are not moved: only the shape is another.",
            predicted=lambda: x.reshape(reference.shape).astype(np.float64),
        )


def other_orders(evidence: Evidence) -> Iterator[Suspicion]:
    """Return the suspicion of slices of the output in each other's places."""
    side, reference, observed = evidence.expected, evidence.reference, evidence.observed
    usual = reference.dtype.kind == "f" and reference.shape == observed.shape and np.isfinite(observed).all()
    for axis in range(reference.ndim) if usual and np.isfinite(reference).all() else ():
        order = order_of(reference, observed, axis, SAME)
        if order is None or axis == 0:
            continue
        says = f"The output has {order.says} along axis {axis}."
        cause = "wrong-order"
        if order.kind != "reordered" and side is not None and (is_rotary(side) or is_query_key(evidence, *side.names)):
            cause = "swapped-rotary-halves" if is_rotary(side) or order.kind == "halves" else "unpermuted-query-key"
        elif order.kind == "interleaved":
            continue  # the order of a rotary convention, in a weight of which nothing says what it is for
        yield Suspicion(cause=cause, says=says, predicted=partial(observed.astype, np.float64))


def _orders(ndim: int) -> Iterator[tuple[int, ...]]:
    """Return the orders that take channels from the second place to the last, and back."""
    every = itertools.permutations(range(ndim))
    forward = (0, *range(2, ndim), 1)
    return (one for one in every if one in {forward, tuple(np.argsort(forward).tolist())})


def _read_as(values: Array, order: tuple[int, ...]) -> Array:
    return values.transpose(order).reshape(values.shape).astype(np.float64)
