"""The forms that a composite can take in ONNX, and the opset from which each exists.

A dialect names the forms it prefers for each composite. All of them work channels-first, except those that follow
their operand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx import (
    ascend_quant,
    attention,
    cache,
    channel_means,
    control,
    functions,
    gelu,
    layer_norm,
    normalisation,
    npu_forms,
    phases,
    quantised,
    rotary,
    rounded,
    vendor_forms,
)
from lwmport.converters.onnx.emitter import CHANNELS_FIRST, Emitter, Rule, permuted
from lwmport.graphs.atoms import composite_attributes, shape_of


def _any(_equation: Any) -> bool:
    return True


ANY: Final[Callable[[Any], bool]] = _any
"""Of a form that takes every equation."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to write a composite: the rule, and the first opset that has its operators.

    What ``takes`` denies is written in the next form, or decomposed: an equation that the operators cannot express.
    ``limit`` says in words what it takes.
    """

    rule: Rule
    since: int
    takes: Callable[[Any], bool] = ANY
    limit: str = ""


def group_normalization(e: Emitter, equation: Any) -> None:
    """Emit GroupNormalization with a scale and a bias for each channel (the meaning since opset 21)."""
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    given = composite_attributes(equation)
    attributes = {"epsilon": given["epsilon"], "num_groups": given["groups"]}
    operands = [e.read(x, CHANNELS_FIRST), e.read(scale), e.read(bias)]
    _bind(e, out, e.emit("GroupNormalization", operands, out, CHANNELS_FIRST, attributes))


def group_norm_function(e: Emitter, equation: Any) -> None:
    """Emit a call of the function `functions.group_norm`, which the model then carries."""
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    given = composite_attributes(equation)
    function = e.graph.function(functions.group_norm(given["groups"], e.graph.opset))
    _, channels, *spatial = permuted(shape_of(out), CHANNELS_FIRST)
    size = int(channels) // given["groups"] * int(np.prod(spatial))
    operands = [
        e.read(x, CHANNELS_FIRST),
        *(e.constant(atom, (0,), (channels, 1, 1)) for atom in (scale, bias)),
        e.graph.constant(np.ones(size, out.aval.dtype), "ones"),
    ]
    attributes = {"epsilon": given["epsilon"]}
    _bind(e, out, e.emit(function.name, operands, out, CHANNELS_FIRST, attributes, function.domain))


def instance_normalization(e: Emitter, equation: Any) -> None:
    """Emit InstanceNormalization over [batch, groups, rest], then the scale and bias of each channel.

    A batch that is known is written out: Compass knows a group norm only by the very shape of its input.
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    given = composite_attributes(equation)
    groups = given["groups"]
    batch, channels, *spatial = permuted(shape_of(x), CHANNELS_FIRST)
    size = channels // groups * int(np.prod(spatial))
    items = batch if isinstance(batch, int) else 0
    grouped = e.graph.node(
        "Reshape", [e.read(x, CHANNELS_FIRST), _ints(e, [items, groups, -1])], (batch, groups, size), out.aval.dtype
    )
    ones, zeros = (e.graph.constant(np.full(groups, value, out.aval.dtype)) for value in (1, 0))
    attributes = {"epsilon": given["epsilon"]}
    normal = e.graph.node(
        "InstanceNormalization", [grouped, ones, zeros], (batch, groups, size), out.aval.dtype, attributes
    )
    whole = e.emit("Reshape", [normal, _ints(e, [items, channels, *spatial])], out, CHANNELS_FIRST)
    factor, offset = (e.constant(atom, (0,), (channels, 1, 1)) for atom in (scale, bias))
    scaled = e.emit("Mul", [whole, factor], out, CHANNELS_FIRST)
    _bind(e, out, e.emit("Add", [scaled, offset], out, CHANNELS_FIRST))


def sigmoid_times(e: Emitter, equation: Any) -> None:
    """Emit Sigmoid and Mul."""
    (x,), (out,) = equation.invars, equation.outvars
    order = e.order_of(x)
    value = e.read(x, order)
    e.bind(out, e.emit("Mul", [value, e.emit("Sigmoid", [value], out, order)], out, order), order)


def swish(e: Emitter, equation: Any) -> None:
    """Emit Swish."""
    (x,), (out,) = equation.invars, equation.outvars
    order = e.order_of(x)
    e.bind(out, e.emit("Swish", [e.read(x, order)], out, order), order)


def softmax(e: Emitter, equation: Any) -> None:
    """Emit Softmax over the last logical axis."""
    (x,), (out,) = equation.invars, equation.outvars
    order = e.order_of(x)
    axis = order.index(len(order) - 1)
    e.bind(out, e.emit("Softmax", [e.read(x, order)], out, order, {"axis": axis}), order)


def resize(e: Emitter, equation: Any) -> None:
    """Emit Resize to the nearest pixel with asymmetric coordinates rounded down, which repeats every pixel."""
    (x,), (out,) = equation.invars, equation.outvars
    factor = composite_attributes(equation)["factor"]
    attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    scales = e.graph.constant(np.asarray([1, 1, factor, factor], np.float32))
    _bind(e, out, e.emit("Resize", [e.read(x, CHANNELS_FIRST), None, scales], out, CHANNELS_FIRST, attributes))


def double_in_phases(e: Emitter, equation: Any) -> None:
    """Leave the doubling to the 3x3 convolution behind it where that is possible, and emit Resize elsewhere."""
    if not phases.leave_to_convolution(e, equation):
        resize(e, equation)


def average_pool(e: Emitter, equation: Any) -> None:
    """Emit AveragePool."""
    (x,), (out,) = equation.invars, equation.outvars
    size = composite_attributes(equation)["size"]
    attributes = {"kernel_shape": [size, size], "strides": [size, size]}
    _bind(e, out, e.emit("AveragePool", [e.read(x, CHANNELS_FIRST)], out, CHANNELS_FIRST, attributes))


FORMS: Final[Mapping[str, Form]] = {
    "Attention": Form(rule=attention.attention, since=23, takes=attention.is_as_wide),
    "Attention:masked": Form(rule=attention.masked_attention, since=23, takes=attention.is_as_wide),
    "com.microsoft.GroupQueryAttention": Form(
        rule=attention.group_query_attention,
        since=13,
        takes=attention.fits_group_query,
        limit="head sizes that are a multiple of 8",
    ),
    "com.microsoft.MultiHeadAttention": Form(
        rule=attention.multi_head_attention, since=13, takes=attention.may_be_alone
    ),
    "com.microsoft.RotaryEmbedding": Form(rule=rotary.indexed_rotary_embedding, since=13),
    "com.microsoft.SkipSimplifiedLayerNormalization": Form(rule=normalisation.skip_rms_norm, since=13),
    "AscendQuant": Form(rule=ascend_quant.quant, since=8),
    "QuantizeLinear:int8": Form(rule=rounded.signed_levels, since=13),
    "QuantizeLinear:uint8": Form(rule=rounded.unsigned_levels, since=13),
    "RMSNormalization": Form(rule=normalisation.rms_normalization, since=23),
    "RotaryEmbedding:heads": Form(rule=rotary.rotary_embedding_of_heads, since=23),
    "RotaryEmbedding": Form(rule=rotary.rotary_embedding, since=23),
    "com.microsoft.GatherBlockQuantized": Form(rule=quantised.gather_block_quantized, since=13),
    "MatMulNBits:4": Form(rule=quantised.four_bits_or_dequantised, since=13),
    "com.microsoft.MatMulNBits": Form(rule=quantised.matmul_nbits, since=13),
    "AveragePool": Form(rule=average_pool, since=7),
    "ChannelMeans": Form(rule=channel_means.channel_means, since=13),
    "DequantizeLinear*MatMul": Form(rule=quantised.dequantised_matmul, since=21),
    "Erf*Mul": Form(rule=gelu.erf_times, since=9),
    "Gelu": Form(rule=gelu.gelu, since=20),
    "Gather*Mul": Form(rule=quantised.gather_and_multiply, since=13),
    "GroupNormalization": Form(rule=group_normalization, since=21),
    "InstanceNormalization": Form(rule=instance_normalization, since=7),
    "InstanceNormalization4D": Form(rule=vendor_forms.instance_normalization_of_rank_4, since=7),
    "LayerNormalization": Form(rule=layer_norm.layer_normalization, since=17),
    "Loop": Form(rule=control.loop, since=13, takes=control.goes_forward),
    "Phases": Form(rule=double_in_phases, since=11),
    "Resize": Form(rule=resize, since=11),
    "ReduceMean*Div": Form(rule=layer_norm.spelled_out, since=7),
    "ResizeHalfPixel": Form(rule=vendor_forms.resize_without_ties, since=11),
    "Scan": Form(rule=control.scan_rows, since=13),
    "Sigmoid*Mul": Form(rule=sigmoid_times, since=7),
    "Softmax": Form(rule=softmax, since=13),
    "SoftmaxLastAxis": Form(rule=vendor_forms.softmax_of_the_last_axis, since=7),
    "Swish": Form(rule=swish, since=24),
    "lwmport.GroupNorm": Form(rule=group_norm_function, since=17),
    "npu.NPUGroupNormSilu": Form(rule=npu_forms.group_norm_silu, since=8),
    "npu.NPURmsNorm": Form(rule=npu_forms.rms_norm, since=8, takes=npu_forms.has_fixed_epsilon, limit="epsilon 1e-6"),
    "npu.NPURotaryMul": Form(
        rule=npu_forms.rotary_mul,
        since=8,
        takes=npu_forms.fits_rotary_mul,
        limit="head sizes that are a multiple of 64 and below 896, and fewer than 1000 heads",
    ),
    "TensorScatter": Form(rule=cache.tensor_scatter, since=24),
    "Where": Form(rule=cache.where, since=11),
}


def _bind(e: Emitter, out: Any, value: ir.Value) -> None:
    e.bind(out, value, CHANNELS_FIRST)


def _ints(e: Emitter, values: list[int]) -> ir.Value:
    return e.graph.constant(np.asarray(values, np.int64))
