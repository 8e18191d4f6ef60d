"""Operations that JAX writes in several ways, brought to one, so that converters need a rule for that one only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import jax
import numpy as np
from jax import lax

from lwmport.graphs.atoms import is_empty


def normalise(equation: Any, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Return the results of an equation written in its usual way, and None if it is so already."""
    rule = _RULES.get(equation.primitive.name)
    return None if rule is None else rule(equation, operands)


def _gather(equation: Any, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Return a slice for a gather of one window at a known place, which is how JAX cuts arrays of dynamic size."""
    source, indices = operands
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    if isinstance(indices, jax.core.Tracer) or np.ndim(indices) != 1 or numbers.operand_batching_dims:
        return None
    starts = [0] * len(sizes)
    for axis, start in zip(numbers.start_index_map, np.asarray(indices).tolist(), strict=True):
        starts[axis] = start
    window = lax.slice(source, starts, [start + size for start, size in zip(starts, sizes, strict=True)])
    return [lax.squeeze(window, numbers.collapsed_slice_dims)]


def _stack(equation: Any, operands: Sequence[Any]) -> Sequence[Any]:
    axis = equation.params["axis"]
    return [lax.concatenate([lax.expand_dims(operand, [axis]) for operand in operands], axis)]


def _concatenate(equation: Any, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Return a concatenation without what has no elements: the cache of a first pass."""
    full = [operand for operand, atom in zip(operands, equation.invars, strict=True) if not is_empty(atom)]
    if len(full) == len(operands) or not full:
        return None
    return [full[0] if len(full) == 1 else lax.concatenate(full, equation.params["dimension"])]


def _add(equation: Any, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Return the other operand of a sum with an integer zero."""
    shape = equation.outvars[0].aval.shape
    for zero, other in (operands, operands[::-1]):
        if _is_whole(zero, 0) and other.shape == shape:
            return [other]
    return None


def _mul(equation: Any, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Return zero for a product of one integer zero, and the other operand of a product with one."""
    (out,) = equation.outvars
    for number, other in (operands, operands[::-1]):
        if _is_whole(number, 0) and not out.aval.shape:
            return [np.zeros((), out.aval.dtype)]
        if _is_whole(number, 1) and other.shape == out.aval.shape:
            return [other]
    return None


def _and(equation: Any, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Return the other operand of a conjunction with what is true everywhere."""
    shape = equation.outvars[0].aval.shape
    for truth, other in (operands, operands[::-1]):
        known = not isinstance(truth, jax.core.Tracer) and np.asarray(truth).dtype == np.bool_
        if known and np.all(truth) and other.shape == shape:
            return [other]
    return None


def _is_whole(operand: Any, value: int) -> bool:
    if isinstance(operand, jax.core.Tracer) or np.size(operand) != 1:
        return False
    return np.asarray(operand).dtype.kind in "iu" and np.asarray(operand).item() == value


_RULES: Final[Mapping[str, Callable[[Any, Sequence[Any]], Sequence[Any] | None]]] = {
    "add": _add,
    "and": _and,
    "concatenate": _concatenate,
    "gather": _gather,
    "mul": _mul,
    "stack": _stack,
}
