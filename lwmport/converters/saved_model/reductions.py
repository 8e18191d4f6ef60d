"""Rules that sum, choose or contract over axes."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final, NamedTuple

from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.graphs.atoms import shape_of
from lwmport.types import Dim

_REDUCTIONS: Final = {
    "reduce_and": "All",
    "reduce_max": "Max",
    "reduce_min": "Min",
    "reduce_or": "Any",
    "reduce_prod": "Prod",
    "reduce_sum": "Sum",
}

_CHOICES: Final = {"argmax": "ArgMax", "argmin": "ArgMin"}


def reduce(e: Emitter, equation: Any) -> None:
    """Emit one reduction over all its axes."""
    operator = getattr(e.ops, _REDUCTIONS[equation.primitive.name])
    value = e.read(equation.invars[0])
    e.bind_only(equation, operator(input=value, axis=e.ints(equation.params["axes"]), keep_dims=False))


def arg_reduce(e: Emitter, equation: Any) -> None:
    """Emit ArgMin or ArgMax, whose first hit wins as in JAX, with the index type that JAX gives."""
    (axis,), dtype = equation.params["axes"], str(equation.outvars[0].aval.dtype)
    operator = getattr(e.ops, _CHOICES[equation.primitive.name])
    value = e.read(equation.invars[0])
    e.bind_only(equation, operator(input=value, dimension=e.constant(axis, "int32"), output_type=dtype))


class _Axes(NamedTuple):
    """The axes of one operand of a product, by what happens to them."""

    batch: tuple[int, ...]
    free: tuple[int, ...]
    summed: tuple[int, ...]


def dot_general(e: Emitter, equation: Any) -> None:
    """Emit MatMul, or BatchMatMulV2 with batch axes, transposed by their flags rather than by Transpose."""
    (left, right), (out,) = equation.invars, equation.outvars
    summed, batch = equation.params["dimension_numbers"]
    left, left_axes = _untransposed(e, left, _axes(left, summed[0], batch[0]))
    right, right_axes = _untransposed(e, right, _axes(right, summed[1], batch[1]))
    dtype = str(out.aval.dtype)
    x, x_flag = _matrix(e, left, left_axes, summed_last=True, dtype=dtype)
    y, y_flag = _matrix(e, right, right_axes, summed_last=False, dtype=dtype)
    if batch[0]:
        value = e.ops.BatchMatMulV2(x=x, y=y, adj_x=x_flag, adj_y=y_flag)
    else:
        value = e.ops.MatMul(a=x, b=y, transpose_a=x_flag, transpose_b=y_flag)
    plain = len(left_axes.free) == len(right_axes.free) == 1
    e.bind(out, value if plain else e.reshape(value, shape_of(out)))


def _axes(atom: Any, summed: Sequence[int], batch: Sequence[int]) -> _Axes:
    free = tuple(axis for axis in range(len(atom.aval.shape)) if axis not in (*summed, *batch))
    return _Axes(tuple(batch), free, tuple(summed))


def _untransposed(e: Emitter, atom: Any, axes: _Axes) -> tuple[Any, _Axes]:
    """Return what a known operand is a transpose of, with the axes there: a weight needs no operator then."""
    equation = e.producer(atom)
    if equation is None or equation.primitive.name != "transpose" or not e.is_known(atom):
        return atom, axes
    permutation = equation.params["permutation"]
    return equation.invars[0], _Axes(*(tuple(permutation[axis] for axis in group) for group in axes))


def _matrix(e: Emitter, atom: Any, axes: _Axes, *, summed_last: bool, dtype: str) -> tuple[Any, bool]:
    """Return an operand as [batch..., rows, columns], and whether rows and columns are to be swapped."""
    value = e.read(atom)
    if value.dtype != e.tf.as_dtype(dtype):
        value = e.ops.Cast(x=value, DstT=dtype)
    wanted, other = (axes.free, axes.summed), (axes.summed, axes.free)
    if not summed_last:
        wanted, other = other, wanted
    here = tuple(range(len(atom.aval.shape)))
    swapped = (*axes.batch, *other[0], *other[1]) == here and (*axes.batch, *wanted[0], *wanted[1]) != here
    groups = other if swapped else wanted
    order = (*axes.batch, *groups[0], *groups[1])
    if order != here:
        value = e.ops.Transpose(x=value, perm=e.ints(order))
    if any(len(group) != 1 for group in groups):
        shape: list[Dim] = [shape_of(atom)[axis] for axis in axes.batch]
        value = e.reshape(value, [*shape, *(_size(atom, group) for group in groups)])
    return value, swapped


def _size(atom: Any, axes: Sequence[int]) -> Dim:
    """Return the number of elements over some axes of an atom."""
    size = prod(atom.aval.shape[axis] for axis in axes)
    return size if isinstance(size, int) else str(size)


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_REDUCTIONS, reduce),
    **dict.fromkeys(_CHOICES, arg_reduce),
    "dot_general": dot_general,
}
