"""Rules that move data without computing."""

from typing import Any, Final

import numpy as np

from lwmport.converters.tflite import quantised
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.graph import Tensor
from lwmport.converters.tflite.half import computed
from lwmport.converters.tflite.sizes import DYNAMIC
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of
from lwmport.types import Dim


def reshape(e: Emitter, equation: Any) -> None:
    """Emit RESHAPE, or nothing where the shape stays."""
    source, (out,) = equation.invars[0], equation.outvars
    value = e.read(source)
    e.bind(out, value if shape_of(source) == shape_of(out) else e.reshape(value, shape_of(out)))


def transpose(e: Emitter, equation: Any) -> None:
    """Emit TRANSPOSE; a thin operand stays thin."""
    e.bind(equation.outvars[0], e.transpose(e.thin(equation.invars[0]), equation.params["permutation"]))


def broadcast_in_dim(e: Emitter, equation: Any) -> None:
    """Emit RESHAPE where axes of size 1 are added; what repeats is left thin for the operators that read it."""
    source, (out,) = equation.invars[0], equation.outvars
    reader = e.sole_reader(out)
    if reader is not None and reader.primitive.name == "gather" and shape_of(out) == (*shape_of(source), 1):
        e.notes[out] = source  # JAX adds an axis to the indices of a gather; TFLite wants them without
        return
    value = e.thin(source)
    sizes = dict(zip(equation.params["broadcast_dimensions"], value.shape, strict=True))
    shape = tuple(sizes.get(axis, 1) for axis in range(len(shape_of(out))))
    e.bind(out, value if shape == value.shape else e.reshape(value, shape))


def concatenate(e: Emitter, equation: Any) -> None:
    """Emit CONCATENATION."""
    (out,) = equation.outvars
    values = [e.read(atom) for atom in equation.invars]
    e.bind(out, e.emit("CONCATENATION", values, out, {"axis": int(equation.params["dimension"])}))


def slice_(e: Emitter, equation: Any) -> None:
    """Emit SLICE, or STRIDED_SLICE where elements are skipped."""
    source, (out,) = equation.invars[0], equation.outvars
    params = equation.params
    _refuse_moving_ends(shape_of(source), params)
    starts, strides = params["start_indices"], params["strides"] or (1,) * len(shape_of(out))
    if set(strides) == {1}:
        sizes = [size if isinstance(size, int) else DYNAMIC for size in shape_of(out)]
        operands = [e.read(source), e.graph.integers(starts), e.graph.integers(sizes)]
        e.bind(out, e.emit("SLICE", operands, out))
        return
    whole = sum(1 << axis for axis, size in enumerate(shape_of(source)) if not isinstance(size, int))
    ends = [limit if isinstance(limit, int) else 0 for limit in params["limit_indices"]]
    operands = [e.read(source), *map(e.graph.integers, (starts, ends, strides))]
    e.bind(out, e.emit("STRIDED_SLICE", operands, out, {"endMask": whole}))


def gather(e: Emitter, equation: Any) -> None:
    """Emit GATHER for the rows of a table, the one gather that the models use; of integers EMBEDDING_LOOKUP."""
    (table, indices), (out,) = equation.invars, equation.outvars
    numbers, sizes = equation.params["dimension_numbers"], tuple(equation.params["slice_sizes"])
    rows = (1, *table.aval.shape[1:])
    whole = tuple(range(len(indices.aval.shape) - 1, len(out.aval.shape)))
    fits = numbers.start_index_map == (0,) and numbers.collapsed_slice_dims == (0,) and sizes == rows
    if not fits or numbers.offset_dims != whole:
        raise LoweringError(f"expected a gather of whole rows of a table, found {numbers} with slices {sizes}")
    if "PROMISE" not in str(equation.params["mode"]):
        raise LoweringError(f"expected a gather that promises to stay in bounds, found {equation.params['mode']}")
    found = quantised.table_of(e, table)
    if found is not None:
        quantised.rows(e, found, _positions(e, indices), out)
        return
    stored = e.narrow(table)
    operands = [stored, _positions(e, indices)]
    value = e.graph.operation("GATHER", operands, shape_of(out), stored.dtype, {"axis": 0, "batchDims": 0})
    e.bind(out, e.cast(value, computed(out.aval.dtype)))


def pad(e: Emitter, equation: Any) -> None:
    """Emit PAD, or PADV2 for any other filling than zero."""
    (source, fill), (out,) = equation.invars, equation.outvars
    config = padding_of(equation)
    value, sides = e.read(source), e.graph.constant(np.asarray(config, np.int32))
    if e.scalar(fill) == 0:
        e.bind(out, e.emit("PAD", [value, sides], out))
    else:
        e.bind(out, e.emit("PADV2", [value, sides, e.read(fill)], out))


def padding_of(equation: Any) -> list[tuple[int, int]]:
    """Return how many elements a pad adds before and behind, per axis.

    Raises:
        LoweringError: it also takes elements away, or puts some between.
    """
    config = [tuple(map(int, sides)) for sides in equation.params["padding_config"]]
    if any(interior for _, _, interior in config) or min(min(low, high) for low, high, _ in config) < 0:
        raise LoweringError(f"expected padding around an array, found interior or negative padding {config}")
    return [(low, high) for low, high, _ in config]


def reverse(e: Emitter, equation: Any) -> None:
    """Emit one REVERSE_V2 an axis, for the operator takes no scattered ones."""
    value = e.read(equation.invars[0])
    for axis in equation.params["dimensions"]:
        value = e.graph.operation("REVERSE_V2", [value, e.graph.integers([axis])], value.shape, value.dtype)
    e.bind(equation.outvars[0], value)


def _positions(e: Emitter, indices: Any) -> Tensor:
    if indices in e.notes:
        return e.read(e.notes[indices])
    value = e.read(indices)
    return e.reshape(value, value.shape[:-1])


def _refuse_moving_ends(shape: tuple[Dim, ...], params: Any) -> None:
    """Return if dynamic axes are taken whole, for nothing else can be said in constants."""
    strides = params["strides"] or (1,) * len(shape)
    for size, *cut in zip(shape, params["start_indices"], params["limit_indices"], strides, strict=True):
        if not isinstance(size, int) and [str(number) for number in cut] != ["0", size, "1"]:
            raise LoweringError(f"expected a slice to take an axis of size {size} whole, found {cut}; fix the batch")


RULES: Final[dict[str, Rule]] = {
    "broadcast_in_dim": broadcast_in_dim,
    "concatenate": concatenate,
    "gather": gather,
    "reshape": reshape,
    "rev": reverse,
    "slice": slice_,
    "squeeze": reshape,
    "transpose": transpose,
}
