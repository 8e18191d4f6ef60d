"""CANN's own fused operators (domain ``npu``, version 1), within what their plugins are known to compute.

Names, operands and outputs are those that torch_npu exports (Ascend/pytorch, torch_npu/onnx/wrapper_onnx_ops.py); what
becomes of the attributes is the plugins' affair (hicann/ops-nn, norm/*/framework; hicann/ops-math,
common/src/framework/npu_rotary_mul_onnx_plugin.cpp): those of RMS norm and of the rotation are not read at all.
"""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx import vendor_forms
from lwmport.converters.onnx.emitter import CHANNELS_FIRST, Emitter, identity, permuted
from lwmport.converters.onnx.graph import Initializer
from lwmport.converters.onnx.heads import BESIDE, merged, merged_shape
from lwmport.graphs.atoms import composite_attributes, composite_name, shape_of
from lwmport.types import Dim

NPU: Final = "npu"
SILU: Final = "lwmport.silu"

EPSILON: Final = 1e-6
"""What the plugins of RmsNorm and AddRmsNorm set, whatever the node says."""

MULTIPLE: Final = 64
"""RotaryMul takes head sizes that are a multiple of it (prototype of the operator in CANN's nn_other.h)."""

SIZES: Final = range(1, 896)
"""Head sizes that RotaryMul takes (torch_npu, npu_rotary_mul)."""

HEADS: Final = range(1, 1000)
"""Batches, and heads, that RotaryMul takes (the same prototype)."""


def has_fixed_epsilon(equation: Any) -> bool:
    """Return whether a root mean square norm has the one epsilon that the operator can have."""
    return bool(np.float32(composite_attributes(equation)["epsilon"]) == np.float32(EPSILON))


def rms_norm(e: Emitter, equation: Any) -> None:
    """Emit NPUAddRmsNorm for a sum and its norm, else NPURmsNorm. Both give the reciprocal root, float32, too."""
    (x, scale), (out,) = equation.invars, equation.outvars
    shape, order = shape_of(out), identity(len(shape_of(out)))
    whole, roots = (shape, out.aval.dtype), ((*shape[:-1], 1), np.float32)
    attributes = {"epsilon": EPSILON}
    terms = e.notes.get(("sum", x))
    if terms is None or not e.is_deferred(x):
        y, _ = e.graph.nodes_of("NPURmsNorm", [e.read(x), e.read(scale)], [whole, roots], attributes, NPU)
    else:
        operands = [*(e.read(term) for term in terms), e.read(scale)]
        y, _, total = e.graph.nodes_of("NPUAddRmsNorm", operands, [whole, roots, whole], attributes, NPU)
        e.bind(x, total, order)
    e.bind(out, y, order)


def group_norm_silu(e: Emitter, equation: Any) -> None:
    """Emit NPUGroupNormSilu for a group norm that only a silu reads, else InstanceNormalization, which CANN fuses.

    The plugin has no way to leave out the silu.
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    reader = e.sole_reader(out)
    if reader is None or composite_name(reader) != SILU:
        vendor_forms.instance_normalization_of_rank_4(e, equation)
        return
    e.absorb(reader)
    given, dtype = composite_attributes(equation), out.aval.dtype
    shape = permuted(shape_of(x), CHANNELS_FIRST)
    groups = ((shape[0], given["groups"]), dtype)
    parameters = [e.cast(e.read(atom), shape_of(atom), atom.aval.dtype, dtype) for atom in (scale, bias)]
    attributes = {"eps": given["epsilon"], "group": given["groups"]}
    y, _, _ = e.graph.nodes_of(
        "NPUGroupNormSilu", [e.read(x, CHANNELS_FIRST), *parameters], [(shape, dtype), groups, groups], attributes, NPU
    )
    e.bind(reader.outvars[0], y, CHANNELS_FIRST)


def fits_rotary_mul(equation: Any) -> bool:
    """Return whether heads [b, h, s, d] are of sizes that RotaryMul is documented to take."""
    batch, heads, _, size = shape_of(equation.invars[0])
    small = all(not isinstance(dim, int) or dim in HEADS for dim in (batch, heads))
    return small and size in SIZES and int(size) % MULTIPLE == 0


def rotary_mul(e: Emitter, equation: Any) -> None:
    """Emit NPURotaryMul on heads [b, s, h, d], with tables [b, s, 1, d] that say each angle twice.

    The operator turns halves. Where the model turns neighbours, these are brought there, by the weights of the
    projection if they come from one, and back.
    """
    (x, cos, sin), (out,) = equation.invars, equation.outvars
    dtype, shape = out.aval.dtype, permuted(shape_of(out), BESIDE)
    neighbours = composite_attributes(equation)["interleaved"]
    value, old = merged(e, x), merged_shape(x)
    if neighbours:
        value, old = _in_halves(e, value, x)
    value = e.reshaped(value, old, shape, dtype)
    tables = [_table(e, table, dtype) for table in (cos, sin)]
    turned = e.graph.node("NPURotaryMul", [value, *tables], shape, dtype, {"rotary_mode": "half"}, NPU)
    if neighbours:
        turned = _exchanged(e, turned, shape, _halves(out), dtype)
        turned = e.reshaped(turned, _pairs(out), shape, dtype)
    e.bind(out, turned, BESIDE)


def _in_halves(e: Emitter, value: ir.Value, atom: Any) -> tuple[ir.Value, tuple[Dim, ...]]:
    """Return heads [b, s, h * d] with the even elements of each head before the odd ones, and the shape of that."""
    node, dtype, shape = value.producer(), atom.aval.dtype, merged_shape(atom)
    weight = node.inputs[1] if node is not None and (node.domain, node.op_type) == ("", "MatMul") else None
    item = _initializer(e, weight, dtype) if weight is not None else None
    if node is None or item is None or item.source is None or len(item.shape) != 2:
        return _exchanged(e, value, shape, _pairs(atom), dtype), _halves(atom)
    columns = e.cast(_sorted_columns(e, item, _pairs(atom)), item.shape, item.dtype, dtype)
    return e.graph.node("MatMul", [node.inputs[0], columns], shape, dtype), shape


def _initializer(e: Emitter, weight: ir.Value, dtype: Any) -> Initializer | None:
    """Return the initializer of ``dtype`` that an operand is, or the stored form of one that it is cast from."""
    cast = weight.producer()
    source = weight if cast is None else cast.inputs[0]
    item = e.graph.initializers.get(str(source.name)) if source is not None else None
    if item is None or (item.dtype != dtype if cast is None else item.source not in e.packed.specs):
        return None
    return item


def _sorted_columns(e: Emitter, item: Initializer, pairs: tuple[Dim, ...]) -> ir.Value:
    """Return a weight [n, h * d] whose columns of each head are in the order even, odd; it is made while writing."""
    _, heads, half, two = (int(dim) if isinstance(dim, int) else -1 for dim in pairs)
    noted = e.notes.get(("halves", item.name))
    if noted is None:
        apart = (item.shape[0], heads, half, two)
        produce = lambda: item.whole().reshape(apart).transpose(0, 1, 3, 2).reshape(item.shape)  # noqa: E731 - a promise
        form = item.form and ("halves", heads, half, item.form)
        noted = e.graph.initializer(f"{item.name}/halves", item.shape, item.dtype, produce, item.source, form)
        e.notes["halves", item.name] = noted
    found: ir.Value = noted
    return found


def _pairs(atom: Any) -> tuple[Dim, ...]:
    """Return [b * s, h, d / 2, 2] of heads [b, h, s, d]."""
    batch, length, heads, size = permuted(atom.aval.shape, BESIDE)
    tokens = batch * length
    return tokens if isinstance(tokens, int) else str(tokens), heads, size // 2, 2


def _halves(atom: Any) -> tuple[Dim, ...]:
    """Return [b * s, h, 2, d / 2] of heads [b, h, s, d]."""
    tokens, heads, half, two = _pairs(atom)
    return tokens, heads, two, half


def _exchanged(e: Emitter, value: ir.Value, old: tuple[Dim, ...], new: tuple[Dim, ...], dtype: Any) -> ir.Value:
    """Return a value in the shape ``new``, its last two axes exchanged."""
    split = e.reshaped(value, old, new, dtype)
    return e.graph.node("Transpose", [split], (*new[:2], new[3], new[2]), dtype, {"perm": [0, 1, 3, 2]})


def _table(e: Emitter, table: Any, dtype: Any) -> ir.Value:
    """Return cosines or sines [b, s, d / 2] as [b, s, 1, d]: those of the first half, and again for the second."""
    batch, length, half = shape_of(table)
    once = e.cast(e.read(table), (batch, length, half), table.aval.dtype, dtype)
    twice = (batch, length, 2 * int(half))
    both = e.graph.node("Concat", [once, once], twice, dtype, {"axis": 2})
    return e.reshaped(both, twice, (batch, length, 1, twice[-1]), dtype)
