"""Rules that move data without computing."""

from typing import Any, Final

from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of
from lwmport.types import Dim


def reshape(e: Emitter, equation: Any) -> None:
    """Emit Reshape, or nothing where the shape stays."""
    (source, *_), (out,) = equation.invars, equation.outvars
    value = e.read(source)
    e.bind(out, value if shape_of(source) == shape_of(out) else e.reshape(value, shape_of(out)))


def transpose(e: Emitter, equation: Any) -> None:
    """Emit Transpose."""
    permutation = e.ints(equation.params["permutation"])
    e.bind_only(equation, e.ops.Transpose(x=e.read(equation.invars[0]), perm=permutation))


def broadcast_in_dim(e: Emitter, equation: Any) -> None:
    """Emit Reshape where axes of size 1 are added, and Tile where sizes grow, or BroadcastTo if by dynamic factors."""
    source, (out,) = equation.invars[0], equation.outvars
    shape = shape_of(out)
    reader = e.sole_reader(out)
    if reader is not None and reader.primitive.name == "gather" and shape == (*shape_of(source), 1):
        return  # JAX adds an axis to the indices of a gather; TensorFlow wants them without
    spread: list[int | str] = [1] * len(shape)
    for axis, size in zip(equation.params["broadcast_dimensions"], shape_of(source), strict=True):
        spread[axis] = size
    value = e.read(source)
    if tuple(spread) != shape_of(source):
        value = e.reshape(value, spread)
    factors = [1 if size == before else size for before, size in zip(spread, shape, strict=True)]
    fixed = [factor for factor in factors if isinstance(factor, int)]
    if len(fixed) != len(factors):
        e.bind(out, e.ops.BroadcastTo(input=value, shape=e.sizes.vector(shape)))
        return
    e.bind(out, value if set(fixed) <= {1} else e.ops.Tile(input=value, multiples=e.ints(fixed)))


def concatenate(e: Emitter, equation: Any) -> None:
    """Emit ConcatV2."""
    values = [e.read(atom) for atom in equation.invars]
    axis = e.constant(equation.params["dimension"], "int32")
    e.bind_only(equation, e.ops.ConcatV2(values=values, axis=axis))


def slice_(e: Emitter, equation: Any) -> None:
    """Emit StridedSlice; an axis that is kept whole is masked, for its size may be dynamic."""
    source = equation.invars[0]
    sizes = source.aval.shape
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or (1,) * len(sizes)
    whole = [(starts[axis], limits[axis]) == (0, size) for axis, size in enumerate(sizes)]
    mask = sum(1 << axis for axis, kept in enumerate(whole) if kept)
    value = e.ops.StridedSlice(
        input=e.read(source),
        begin=e.sizes.vector([0 if kept else _size(start) for start, kept in zip(starts, whole, strict=True)]),
        end=e.sizes.vector([0 if kept else _size(limit) for limit, kept in zip(limits, whole, strict=True)]),
        strides=e.ints(strides),
        begin_mask=mask,
        end_mask=mask,
    )
    e.bind_only(equation, value)


def gather(e: Emitter, equation: Any) -> None:
    """Emit GatherV2 for the rows of a table, the one gather that the models use.

    Raises:
        LoweringError: any other gather.
    """
    (table, indices), (out,) = equation.invars, equation.outvars
    numbers, sizes = equation.params["dimension_numbers"], tuple(equation.params["slice_sizes"])
    rows = (1, *table.aval.shape[1:])
    whole = tuple(range(len(indices.aval.shape) - 1, len(out.aval.shape)))
    fits = numbers.start_index_map == (0,) and numbers.collapsed_slice_dims == (0,) and sizes == rows
    if not fits or numbers.offset_dims != whole or "PROMISE" not in str(equation.params["mode"]):
        raise LoweringError(f"expected a gather of whole rows of a table, found {numbers} with slices {sizes}")
    positions = _without_last(e, indices)
    e.bind(out, e.ops.GatherV2(params=e.read(table), indices=positions, axis=e.constant(0, "int32")))


def _without_last(e: Emitter, indices: Any) -> Any:
    """Return indices without JAX's last axis of size 1, which is best not added in the first place."""
    equation = e.producer(indices)
    shape = shape_of(indices)[:-1]
    if equation is not None and equation.primitive.name == "broadcast_in_dim":
        (source, *_) = equation.invars
        if shape_of(source) == shape:
            return e.read(source)
    return e.reshape(e.read(indices), shape)


def squeeze(e: Emitter, equation: Any) -> None:
    """Emit Squeeze."""
    axes = list(equation.params["dimensions"])
    value = e.read(equation.invars[0])
    e.bind_only(equation, e.ops.Squeeze(input=value, axis=axes) if axes else value)


def pad(e: Emitter, equation: Any) -> None:
    """Emit Pad, or PadV2 for a filling other than zero.

    Raises:
        LoweringError: the padding is negative or between elements.
    """
    source, fill = equation.invars
    config = [tuple(map(_size, sides)) for sides in equation.params["padding_config"]]
    taken = any(isinstance(side, int) and side < 0 for sides in config for side in sides)
    if taken or any(interior for *_, interior in config):
        raise LoweringError(f"expected padding around an array, found interior or negative padding {config}")
    sides = e.reshape(e.sizes.vector([side for low, high, _ in config for side in (low, high)]), [len(config), 2])
    if e.scalar(fill) == 0:
        e.bind_only(equation, e.ops.Pad(input=e.read(source), paddings=sides))
        return
    e.bind_only(equation, e.ops.PadV2(input=e.read(source), paddings=sides, constant_values=e.read(fill)))


def _size(size: Any) -> Dim:
    return size if isinstance(size, int) else str(size)


RULES: Final[dict[str, Rule]] = {
    "broadcast_in_dim": broadcast_in_dim,
    "concatenate": concatenate,
    "gather": gather,
    "pad": pad,
    "reshape": reshape,
    "slice": slice_,
    "squeeze": squeeze,
    "transpose": transpose,
}
