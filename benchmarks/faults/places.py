"""Where a model has weights, biases, gains and single numbers: what the kinds of faults choose among."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from faults.draft import Array, Draft, NoPlaceError, Operator
from faults.place import Place

DENSE = ("Conv", "MatMul", "Gemm")
NORMS = ("InstanceNormalization", "LayerNormalization", "GroupNormalization", "GroupNorm32")
SMALLEST = 8
"""Fewest values of what counts as a weight."""

Slot = tuple[Operator, int]
Change = Callable[[Array, np.random.Generator], Array]


def of(draft: Draft, *types: str) -> list[Operator]:
    """Return the operators of some types."""
    return [operator for operator in draft.operators if operator.type in types]


def weights(draft: Draft) -> Iterator[Slot]:
    """Return each weight of a convolution, a product or a lookup."""
    for operator in draft.operators:
        places = [0] if operator.type == "Gather" else [0, 1] if operator.type in DENSE else []
        for slot in places:
            shape = draft.constant_shape(operator, slot)
            if shape is not None and len(shape) >= 2 and np.prod(shape) >= SMALLEST:
                yield operator, slot


def biases(draft: Draft) -> Iterator[Slot]:
    """Return each bias: a third operand of a product or a norm, or a vector that is added."""
    for operator in draft.operators:
        if operator.type in (*DENSE, *NORMS) and draft.constant_shape(operator, 2) is not None:
            yield operator, 2
        if operator.type == "Add":
            yield from ((operator, slot) for slot in vectors(draft, operator))


def gains(draft: Draft) -> Iterator[Slot]:
    """Return each gain of a norm: its second operand, or a vector that multiplies."""
    for operator in draft.operators:
        if operator.type in NORMS and draft.constant_shape(operator, 1) is not None:
            yield operator, 1
        if operator.type == "Mul":
            yield from ((operator, slot) for slot in vectors(draft, operator))


def vectors(draft: Draft, operator: Operator) -> list[int]:
    """Return the constants with values along one axis only."""
    shapes = {slot: draft.constant_shape(operator, slot) or () for slot in draft.slots(operator)}
    return [slot for slot, shape in shapes.items() if SMALLEST <= np.prod(shape) == max(shape, default=1)]


def numbers(draft: Draft, types: tuple[str, ...]) -> Iterator[tuple[Operator, int, float]]:
    """Return each constant of one floating value, and the value, that operators of these types read."""
    for operator in draft.operators:
        for slot in draft.slots(operator) if operator.type in types else ():
            if np.prod(draft.constant_shape(operator, slot) or ()) == 1:
                value = draft.constant(operator, slot)
                if np.issubdtype(value.dtype, np.floating):
                    yield operator, slot, float(value.reshape(()))


def changing(draft: Draft, slots: Iterable[Slot], change: Change) -> Iterator[Place]:
    """Return a place for each constant, which gets other values there."""
    for operator, slot in slots:
        yield Place(operators=(operator,), change=_change(draft, operator, slot, change))


def setting(draft: Draft, operator: Operator, slot: int, value: float) -> Place:
    """Return a place where one number becomes another."""
    return Place(operators=(operator,), change=_change(draft, operator, slot, lambda old, _: np.full_like(old, value)))


def give(draft: Draft, operator: Operator, slot: int, values: Array) -> None:
    """Give an operator another constant of the same type.

    Raises:
        NoPlaceError: it would equal the old one.
    """
    old = draft.constant(operator, slot)
    with np.errstate(over="ignore"):
        new = np.asarray(values).astype(old.dtype)
    if new.shape == old.shape and np.array_equal(new, old):
        raise NoPlaceError
    draft.set_constant(operator, slot, new)


def _change(draft: Draft, operator: Operator, slot: int, change: Change) -> Callable[[np.random.Generator], None]:
    def apply(random: np.random.Generator) -> None:
        old = draft.constant(operator, slot)
        if not np.issubdtype(old.dtype, np.floating):
            raise NoPlaceError
        give(draft, operator, slot, change(old.astype(np.float32), random))

    return apply
