"""Rules for convolution and pooling, channels first, taking in the padding before and the bias behind."""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx import ascend_quant, phases, quantised_parts
from lwmport.converters.onnx.bindings import Order
from lwmport.converters.onnx.emitter import Emitter, Rule, permuted
from lwmport.errors import LoweringError


def convolve(e: Emitter, equation: Any) -> None:
    """Emit Conv with explicit padding; a bias that is added next becomes its third input."""
    source, kernel = equation.invars
    numbers, params = equation.params["dimension_numbers"], equation.params
    _refuse_unusual(equation)
    doubled = phases.upsampled_input(e, equation)
    if doubled is not None:
        out, bias = take_bias(e, equation, numbers.out_spec)
        phases.convolve_phases(e, equation, doubled, out, bias)
        return
    source, padding = e.notes.get(source, (source, params["padding"]))
    of_codes = source in e.codes
    kernel_value = None if of_codes else kernel_of(e, kernel, numbers.rhs_spec)
    attributes = {
        "dilations": list(params["rhs_dilation"]),
        "group": params["feature_group_count"],
        "kernel_shape": list(permuted(kernel.aval.shape, numbers.rhs_spec)[2:]),
        "pads": [low for low, _ in padding] + [high for _, high in padding],
        "strides": list(params["window_strides"]),
    }
    if of_codes:
        out, added = _added(e, equation, numbers.out_spec)
        ascend_quant.convolve(e, equation, source, attributes, added, out)
        return
    out, bias = take_bias(e, equation, numbers.out_spec)
    operands = [e.read(source, numbers.lhs_spec), kernel_value, *bias]
    e.bind(out, e.emit("Conv", operands, out, numbers.out_spec, attributes), numbers.out_spec)


def kernel_of(e: Emitter, kernel: Any, order: Order) -> ir.Value:
    """Return a kernel in an axis order, made of integers where it is stored so."""
    found = e.quantised(kernel)
    if found is None or found.scheme.group:
        return e.read(kernel, order)
    return quantised_parts.kernel(e, found, order, permuted(kernel.aval.shape, order))


def take_bias(e: Emitter, equation: Any, order: tuple[int, ...]) -> tuple[Any, list[ir.Value]]:
    """Return the variable to bind and the bias input, if all that reads the result adds one constant a channel."""
    out, other = _added(e, equation, order)
    if other is None:
        return out, []
    channels = out.aval.shape[order[1]]
    steps = quantised_parts.bias(e, other, channels)
    return out, [e.constant(other, order, (channels,)) if steps is None else steps]


def _added(e: Emitter, equation: Any, order: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the variable to bind and the constant of each channel that is added, which is then done; else None."""
    (out,) = equation.outvars
    reader = e.sole_reader(out)
    if reader is None or reader.primitive.name != "add":
        return out, None
    other = reader.invars[1] if reader.invars[0] is out else reader.invars[0]
    channels = out.aval.shape[order[1]]
    per_channel = tuple(channels if axis == order[1] else 1 for axis in range(len(order)))
    if not e.is_known(other) or other.aval.shape != per_channel:
        return out, None
    e.absorb(reader)
    return reader.outvars[0], other


def pad(e: Emitter, equation: Any) -> None:
    """Emit Pad, or leave zero padding to the one convolution that reads it."""
    (source, fill), (out,) = equation.invars, equation.outvars
    config = [tuple(map(_side, sides)) for sides in equation.params["padding_config"]]
    known = [side for low, high, _ in config for side in (low, high) if isinstance(side, int)]
    if any(interior for _, _, interior in config) or min(known, default=0) < 0:
        raise LoweringError(f"expected padding around an array, found interior or negative padding {config}")
    reader = e.sole_reader(out)
    if e.scalar(fill) == 0 and _can_take_padding(reader, out, config):
        total = [
            (low + a, high + b) for (low, high, _), (a, b) in zip(_spatial(reader, config), _own(reader), strict=True)
        ]
        e.notes[out] = (source, total)
        return

    def make() -> tuple[ir.Value, Order]:
        order = e.order_of(source)
        sides = [config[axis][0] for axis in order] + [config[axis][1] for axis in order]
        operands = [e.read(source, order), e.sizes.vector(sides), e.read(fill)]
        return e.emit("Pad", operands, out, order), order

    e.defer(out, make)


def _side(size: Any) -> Any:
    """Return a side of a padding as a number, or as the text of a dynamic size."""
    return int(size) if isinstance(size, int | np.integer) else str(size)


def window_sum(e: Emitter, equation: Any) -> None:
    """Emit AveragePool times the window's size, for ONNX has no sum over windows."""
    source, (out,) = equation.invars[0], equation.outvars
    params = equation.params
    window, strides, rank = params["window_dimensions"], params["window_strides"], len(out.aval.shape)
    order = (0, rank - 1, *range(1, rank - 1))
    ones = (window[0], window[-1], strides[0], strides[-1], *params["base_dilation"], *params["window_dilation"])
    plain = all(value == 1 for value in ones)
    if not plain or any(side for sides in params["padding"] for side in sides):
        raise LoweringError(f"expected windows over the spatial axes without padding, found {params}")
    attributes = {"kernel_shape": list(window[1:-1]), "strides": list(strides[1:-1])}
    mean = e.emit("AveragePool", [e.read(source, order)], out, order, attributes)
    size = e.graph.constant(np.asarray(np.prod(window), out.aval.dtype))
    e.bind(out, e.emit("Mul", [mean, size], out, order), order)


def _refuse_unusual(equation: Any) -> None:
    params, dtypes = equation.params, {str(atom.aval.dtype) for atom in (*equation.invars, *equation.outvars)}
    if len(dtypes) > 1 or min(map(min, params["padding"])) < 0:
        raise LoweringError(f"expected one dtype and no negative padding, found {sorted(dtypes)} and {params}")
    if params["batch_group_count"] != 1 or any(size != 1 for size in params["lhs_dilation"]):
        raise LoweringError(f"expected a plain convolution, found a transposed or batch-grouped one: {params}")


def _can_take_padding(reader: Any, padded: Any, config: list[tuple[int, ...]]) -> bool:
    """Return whether the reader is a convolution of what is padded, and only its spatial axes are."""
    if reader is None or reader.primitive.name != "conv_general_dilated" or reader.invars[0] is not padded:
        return False
    batch, channel, *_ = reader.params["dimension_numbers"].lhs_spec
    return not any((*config[batch], *config[channel]))


def _spatial(reader: Any, config: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [config[axis] for axis in reader.params["dimension_numbers"].lhs_spec[2:]]


def _own(reader: Any) -> list[tuple[int, int]]:
    return [(int(low), int(high)) for low, high in reader.params["padding"]]


RULES: Final[dict[str, Rule]] = {
    "conv_general_dilated": convolve,
    "pad": pad,
    "reduce_window_sum": window_sum,
}
