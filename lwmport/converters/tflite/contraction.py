"""Products of matrices: FULLY_CONNECTED on a constant matrix, BATCH_MATMUL on two values of the graph."""

from collections.abc import Sequence
from typing import Any, Final

from lwmport.converters.tflite import quantised
from lwmport.converters.tflite.bias import take_bias
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.graph import Tensor
from lwmport.converters.tflite.sizes import product, static_size
from lwmport.graphs.atoms import shape_of


def dot_general(e: Emitter, equation: Any) -> None:
    """Emit a product of matrices; one by a constant matrix with its bias."""
    (left, right), (out,) = equation.invars, equation.outvars
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left_free, right_free = free(left, left_sum, left_batch), free(right, right_sum, right_batch)
    if e.is_known(right) and not right_batch:
        source = e.transpose(e.read(left), (*left_free, *left_sum))
        rows = source.shape[: len(left_free)] or (1,)
        source = _reshaped(e, source, (*rows, size(left, left_sum)))
        bias = None
        if len(right_free) == 1 and rows == shape_of(out)[:-1]:
            out, bias = take_bias(e, out, len(rows))
        value = fully_connected(e, source, _weights(e, right, right_free, right_sum), bias)
    else:
        value = _batch_matmul(e, left, (left_batch, left_free, left_sum), right, (right_batch, right_sum, right_free))
    e.bind(out, _reshaped(e, value, shape_of(out)))


def fully_connected(e: Emitter, source: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    """Emit source [..., k] times matrix [n, k] plus bias [n]; all leading axes stay."""
    shape = (*source.shape[:-1], matrix.shape[0])
    options = {"keepNumDims": True, **({"asymmetricQuantizeInputs": True} if matrix.scales else {})}
    inputs = [source, matrix] if bias is None else [source, matrix, bias]
    return e.graph.operation("FULLY_CONNECTED", inputs, shape, source.dtype, options)


def free(atom: Any, summed: Sequence[int], batch: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of an operand that are neither contracted nor batch axes."""
    return tuple(axis for axis in range(len(atom.aval.shape)) if axis not in (*summed, *batch))


def size(atom: Any, axes: Sequence[int]) -> Any:
    """Return the number of elements over some axes of an atom."""
    return product([shape_of(atom)[axis] for axis in axes])


def _weights(e: Emitter, atom: Any, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
    """Return a constant as [rows, columns], in integers if it is stored so."""
    found = quantised.product_of(e, atom, columns)
    if found is None:
        return _matrix(e, atom, rows, columns)
    return quantised.constant(e, found, [static_size(size(atom, axes)) for axes in (rows, columns)])


def _matrix(e: Emitter, atom: Any, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
    """Return a constant as [rows, columns]."""
    order: Sequence[int] = (*rows, *columns)
    shape = [static_size(size(atom, axes)) for axes in (rows, columns)]
    equation = e.producer(atom := e.unconverted(atom))
    while equation is not None and equation.primitive.name == "transpose":
        order = [equation.params["permutation"][axis] for axis in order]
        equation = e.producer(atom := e.unconverted(equation.invars[0]))
    if list(order) == sorted(order):
        return e.constant(atom, shape)  # a table that is read by rows elsewhere is held once
    return e.constant(atom, shape, lambda array: array.transpose(order), f"axes{''.join(map(str, order))}")


def _batch_matmul(
    e: Emitter, left: Any, left_axes: tuple[Sequence[int], ...], right: Any, right_axes: tuple[Sequence[int], ...]
) -> Tensor:
    """Emit [batch..., rows, k] times [batch..., k, columns]; swapped last axes are the operator's own flags."""
    first, swap_first = _grouped(e, left, left_axes)
    second, swap_second = _grouped(e, right, right_axes)
    batch = [shape_of(left)[axis] for axis in left_axes[0]]
    shape = (*batch, size(left, left_axes[1]), size(right, right_axes[2]))
    return e.graph.operation(
        "BATCH_MATMUL", [first, second], shape, first.dtype, {"adjX": swap_first, "adjY": swap_second}
    )


def _grouped(e: Emitter, atom: Any, groups: tuple[Sequence[int], ...]) -> tuple[Tensor, bool]:
    """Return an operand as [batch..., first group, second group], or with the last two swapped and True."""
    batch, first, second = groups
    value = e.read(atom)
    if (*batch, *second, *first) == tuple(range(len(atom.aval.shape))) and len(first) == len(second) == 1:
        return value, True
    value = e.transpose(value, (*batch, *first, *second))
    return _reshaped(
        e, value, [*(shape_of(atom)[axis] for axis in batch), size(atom, first), size(atom, second)]
    ), False


def _reshaped(e: Emitter, tensor: Tensor, shape: Sequence[Any]) -> Tensor:
    return tensor if tensor.shape == tuple(shape) else e.reshape(tensor, shape)


RULES: Final[dict[str, Rule]] = {"dot_general": dot_general}
