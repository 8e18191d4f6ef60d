"""Convolutions of integers in CANN's own operators, as AMCT's deploy models have them: no AMCT is needed behind them.

AscendQuant makes codes of values: ``round(x * scale + offset)``, to even, from -128 to 127. Conv sums codes times int8
weights, and its int32 bias. AscendDequant multiplies sums with ``deq_scale``, a float32 in the low half of a uint64.
The offset is in no weight and in no bias: ATC takes it out of them (fe::QuantUtil, ``QuantBiasOptimization``).

Sources: hicann/amct, amct_pytorch/classic/graph_based/amct_pytorch/optimizer/insert_{quant,weight_quant,bias_quant,
dequant}_pass.py, which write such files; hicann/ops-nn, the ONNX plugins of both operators; hicann/ge, the guide to
quantised graphs; Ascend/metadef, fusion_quant_util_impl.cc.
"""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx import quantised_parts
from lwmport.converters.onnx.emitter import CHANNELS_FIRST, Emitter, permuted
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import composite_attributes, shape_of
from lwmport.types import Array

FLOAT: Final = 0
"""``dtype`` of AscendDequant: ge::DT_FLOAT, and not ONNX's number."""

INT8: Final = "INT8"


def quant(e: Emitter, equation: Any) -> None:
    """Emit AscendQuant: the variable is bound to codes, which convolutions alone read."""
    (x,), (out,) = equation.invars, equation.outvars
    given, order = composite_attributes(equation), CHANNELS_FIRST
    attributes = {
        "scale": float(np.float32(1) / np.float32(given["scale"])),
        "offset": float(given["zero"]),
        "dst_type": INT8,
    }
    codes = e.graph.node(
        "AscendQuant", [e.read(x, order)], permuted(shape_of(out), order), np.dtype(np.int8), attributes
    )
    e.codes[out] = float(given["scale"])
    e.bind(out, codes, order)


def convolve(e: Emitter, equation: Any, source: Any, attributes: dict[str, Any], bias: Any, out: Any) -> None:
    """Emit Conv of codes and AscendDequant behind it.

    Args:
        e: the graph at work.
        equation: the convolution.
        source: the variable that is bound to codes.
        attributes: of Conv.
        bias: the constant that is added to each channel, None where there is none.
        out: the variable to bind.

    Raises:
        LoweringError: its kernel or its bias is not stored as integers.
    """
    kernel, scale = equation.invars[1], np.float32(e.codes[source])
    numbers = equation.params["dimension_numbers"]
    found = e.quantised(kernel)
    if found is None or found.scheme.dtype != "int8":
        raise LoweringError(f"expected a kernel of int8 behind AscendQuant, found another at {equation.source_info}")
    shape, channels = permuted(shape_of(out), numbers.out_spec), kernel.aval.shape[numbers.rhs_spec[0]]
    operands = [
        e.read(source, numbers.lhs_spec),
        quantised_parts.kernel_codes(e, found, numbers.rhs_spec, permuted(kernel.aval.shape, numbers.rhs_spec)),
        *([] if bias is None else [_steps(e, bias, channels)]),
    ]
    sums = e.graph.node("Conv", operands, shape, np.dtype(np.int32), attributes)
    made = lambda: _packed(scale * e.packed.read(f"{found.name}/scales").reshape(-1))  # noqa: E731 - a promise
    factors = e.part(found.name, "/deq_scale", (channels,), np.dtype(np.uint64), made, ("deq_scale", float(scale)))
    restored = e.graph.node("AscendDequant", [sums, factors], shape, out.aval.dtype, {"dtype": FLOAT})
    e.bind(out, restored, numbers.out_spec)


def _steps(e: Emitter, bias: Any, channels: int) -> ir.Value:
    name = e.program.known.rearranged(bias)
    if name not in e.schemes or e.schemes[name].dtype != "int32":
        raise LoweringError(f"expected a bias of int32 behind AscendQuant, found that of {name or 'no weight'}")
    return e.part(name, "", (channels,), np.dtype(np.int32), lambda: e.packed.read(name), ("bias", name))


def _packed(scales: Array) -> Array:
    """Return float32 scales in the low halves of uint64; nothing is 0, as in the steps of a bias."""
    found: Array = np.where(scales == 0, np.float32(1), scales).astype(np.float32).view(np.uint32).astype(np.uint64)
    return found
