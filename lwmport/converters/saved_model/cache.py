"""Writing new tokens into a cache of fixed length [b, h, slots, d]."""

from typing import Any, Final

import numpy as np

from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of


def concatenate(e: Emitter, equation: Any) -> None:
    """Emit ConcatV2 of the slots before, the new ones and the slots behind."""
    cache, new, position = (e.read(atom) for atom in equation.invars)
    e.bind_only(equation, _spliced(e, cache, new, position, axis=2))


def select(e: Emitter, equation: Any) -> None:
    """Emit SelectV2 over all slots, for readers of static sizes only; several tokens go to their slots first."""
    cache, new, position = (e.read(atom) for atom in equation.invars)
    slots, count = (int(shape_of(atom)[2]) for atom in equation.invars[:2])
    numbers = e.constant(np.arange(slots, dtype=np.int32))
    if count == 1:
        written = e.ops.Equal(x=numbers, y=position)
    else:
        behind = e.ops.Sub(x=numbers, y=position)
        low = e.ops.Maximum(x=behind, y=e.constant(0, "int32"))
        index = e.ops.Minimum(x=low, y=e.constant(count - 1, "int32"))
        written = e.ops.Equal(x=behind, y=index)
        new = e.ops.GatherV2(params=new, indices=index, axis=e.constant(2, "int32"))
    e.bind_only(equation, e.ops.SelectV2(condition=e.reshape(written, [slots, 1]), t=new, e=cache))


def dynamic_update_slice(e: Emitter, equation: Any) -> None:
    """Emit ConcatV2 along the one axis that is not written whole.

    Raises:
        LoweringError: there are more such axes.
    """
    operand, update, *starts = equation.invars
    pairs = zip(shape_of(operand), shape_of(update), strict=True)
    axes = [axis for axis, (whole, part) in enumerate(pairs) if whole != part]
    if len(axes) > 1:
        raise LoweringError(f"expected an update of one axis, found one of axes {axes} (dynamic_update_slice)")
    if not axes:
        e.bind_only(equation, e.read(update))
        return
    place = e.read(starts[axes[0]])
    e.bind_only(equation, _spliced(e, e.read(operand), e.read(update), place, axes[0]))


def _spliced(e: Emitter, cache: Any, new: Any, position: Any, axis: int) -> Any:
    """Return an array with new elements from a position on; like JAX's, it moves back what would stick out."""
    last = cache.shape[axis] - new.shape[axis]
    start = e.ops.Minimum(x=e.ops.Maximum(x=position, y=e.constant(0, "int32")), y=e.constant(last, "int32"))
    before = _cut(e, cache, axis, None, start)
    behind = _cut(e, cache, axis, e.ops.AddV2(x=start, y=e.constant(new.shape[axis], "int32")), None)
    found = e.ops.ConcatV2(values=[before, new, behind], axis=e.constant(axis, "int32"))
    found.set_shape(cache.shape)
    return found


def _cut(e: Emitter, value: Any, axis: int, start: Any, behind: Any) -> Any:
    """Return the elements of an axis from ``start``, or the first, up to ``behind``, or to the last."""
    kept = (1 << axis) - 1
    zeros, whole, first = e.ints([0] * axis), e.ints([0] * (axis + 1)), e.constant(0, "int32")
    first_kept, first_left = (
        whole if edge is None else e.ops.ConcatV2(values=[zeros, e.reshape(edge, [1])], axis=first)
        for edge in (start, behind)
    )
    return e.ops.StridedSlice(
        input=value,
        begin=first_kept,
        end=first_left,
        strides=e.ints([1] * (axis + 1)),
        begin_mask=kept | (0 if start is not None else 1 << axis),
        end_mask=kept | (0 if behind is not None else 1 << axis),
    )


RULES: Final[dict[str, Rule]] = {"dynamic_update_slice": dynamic_update_slice}
