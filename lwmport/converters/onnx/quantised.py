"""Products and rows of weights that are stored as integers (`lwmport.checkpoints.quantised`).

ONNX Runtime has operators for both. Elsewhere the integers become numbers again in front of what reads them:
DequantizeLinear with blocks for a matrix, and arithmetic on the rows that were looked up for a table.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx import quantised_parts as parts
from lwmport.converters.onnx.emitter import Emitter, identity
from lwmport.converters.onnx.reductions import bind_product, rows_of
from lwmport.converters.onnx.shapes import positions_of
from lwmport.converters.walk import Quantised
from lwmport.graphs.atoms import shape_of
from lwmport.quantise.rounding import middle
from lwmport.types import Dim

MICROSOFT: Final = "com.microsoft"
FOUR: Final = 4

LEVELS: Final = {0: 1, 8: 4}
"""Bits that activations are rounded to (0 for none) -> ``accuracy_level`` of MatMulNBits: float32, or int8 by blocks.

ONNX Runtime computes in float32 at all levels but 4. A level of 0 would leave the choice to it.
"""


def matmul_nbits(e: Emitter, equation: Any) -> None:
    """Emit MatMulNBits: blocks [outputs, groups, bytes], scales [outputs, groups], zero points packed to bytes."""
    _matmul_nbits(e, equation, flat=False)


def four_bits_or_dequantised(e: Emitter, equation: Any) -> None:
    """Emit what MIGraphX reads: MatMulNBits of 4 bits, with zero points of one axis; DequantizeLinear of 8 bits.

    Its parser throws at MatMulNBits of other bits, and at zero points of two axes (src/onnx/parse_matmulnbits.cpp).
    """
    if _found(e, equation.invars[1]).scheme.bits == FOUR:
        _matmul_nbits(e, equation, flat=True)
    else:
        _dequantised(e, equation, block_of_one=False)


def _matmul_nbits(e: Emitter, equation: Any, *, flat: bool) -> None:
    right, (out,) = equation.invars[1], equation.outvars
    found = _found(e, right)
    rows, shape = rows_of(e, equation)
    operands = [rows, parts.blocks(e, found), parts.scales(e, found, by_channel=True)]
    if not found.scheme.symmetric:
        operands.append(parts.zero_bytes(e, found, flat=flat))
    inputs, outputs = (int(size) for size in right.aval.shape)
    attributes = {
        "K": inputs,
        "N": outputs,
        "bits": found.scheme.bits,
        "block_size": found.scheme.group,
        "accuracy_level": LEVELS[found.scheme.activations],
    }
    value = e.graph.node("MatMulNBits", operands, shape, out.aval.dtype, attributes, MICROSOFT)
    bind_product(e, out, value, shape)


def dequantised_matmul(e: Emitter, equation: Any) -> None:
    """Emit DequantizeLinear with blocks along the inputs, and MatMul.

    ONNX Runtime makes MatMulNBits of the two where the blocks lie along the first axis, and of no other form.
    """
    _dequantised(e, equation, block_of_one=True)


def _dequantised(e: Emitter, equation: Any, *, block_of_one: bool) -> None:
    """Emit the two; without ``block_of_one`` a column of one group has a scale of its own, as MIGraphX asks for."""
    right, (out,) = equation.invars[1], equation.outvars
    found = _found(e, right)
    rows, shape = rows_of(e, equation)
    axis = int(found.scheme.channel == 0)
    flat = not block_of_one and e.packed.specs[f"{found.name}/scales"].shape[axis] == 1
    operands = [parts.codes(e, found), parts.scales(e, found, flat=flat), parts.zero_points(e, found, flat=flat)]
    attributes = {"axis": 1 - axis} if flat else {"axis": axis, "block_size": found.scheme.group}
    own = right.aval.shape[::-1] if found.turned else right.aval.shape
    matrix = e.graph.node(
        "DequantizeLinear", [value for value in operands if value is not None], own, out.aval.dtype, attributes
    )
    if found.turned:
        matrix = e.graph.node("Transpose", [matrix], right.aval.shape, out.aval.dtype, {"perm": [1, 0]})
    bind_product(e, out, e.graph.node("MatMul", [rows, matrix], shape, out.aval.dtype), shape)


def gather_block_quantized(e: Emitter, equation: Any) -> None:
    """Emit GatherBlockQuantized. Zero points are always written: without them CPU and CUDA take different ones."""
    (table, indices), (out,) = equation.invars, equation.outvars
    found = _found(e, table)
    operands = [
        parts.flat_blocks(e, found),
        positions_of(e, indices),
        parts.scales(e, found),
        parts.zero_bytes(e, found),
    ]
    scheme = found.scheme
    attributes = {"bits": scheme.bits, "block_size": scheme.group, "gather_axis": 0, "quantize_axis": 1}
    value = e.graph.node("GatherBlockQuantized", operands, shape_of(out), out.aval.dtype, attributes, MICROSOFT)
    e.bind(out, value, identity(len(out.aval.shape)))


def gather_and_multiply(e: Emitter, equation: Any) -> None:
    """Emit Gather of bytes and of scales, and what makes numbers of the rows that were looked up."""
    (table, indices), (out,) = equation.invars, equation.outvars
    found, positions, dtype = _found(e, table), positions_of(e, indices), out.aval.dtype
    scheme, (*rows, width) = found.scheme, shape_of(out)
    groups = int(width) // scheme.group
    whole, grouped, beside = (*rows, width), (*rows, groups, scheme.group), (*rows, groups, 1)

    def looked_up(part: ir.Value, size: int, kind: Any) -> ir.Value:
        return e.graph.node("Gather", [part, positions], (*rows, size), kind)

    def numbers(part: ir.Value, size: int) -> ir.Value:
        return _codes(e, looked_up(part, -(-size * scheme.bits // 8), np.uint8), rows, size, scheme.bits, dtype)

    codes = e.reshaped(numbers(parts.flat_blocks(e, found), int(width)), whole, grouped, dtype)
    if scheme.symmetric:
        zeros = e.graph.constant(np.asarray(middle(scheme.bits), dtype))
    else:
        zeros = e.reshaped(numbers(parts.zero_bytes(e, found), groups), (*rows, groups), beside, dtype)
    scales = e.reshaped(looked_up(parts.scales(e, found), groups, dtype), (*rows, groups), beside, dtype)
    made = e.graph.node("Mul", [e.graph.node("Sub", [codes, zeros], grouped, dtype), scales], grouped, dtype)
    e.bind(out, e.reshaped(made, grouped, whole, dtype), identity(len(out.aval.shape)))


def _codes(e: Emitter, stored: ir.Value, rows: Sequence[Dim], size: int, bits: int, dtype: Any) -> ir.Value:
    """Return the codes in rows of bytes as numbers, [..., size]: of 4 bits the low half of each byte comes first.

    Halves are made by arithmetic, which is exact: OpenVINO shifts bits by a division that rounds.
    """
    width = -(-size * bits // 8)
    whole = e.cast(stored, (*rows, width), np.uint8, dtype)
    if bits == 8:
        return whole
    part, sixteen = (e.graph.constant(np.asarray(number, dtype)) for number in (1 / 16, 16))
    high = e.graph.node("Floor", [e.graph.node("Mul", [whole, part], (*rows, width), dtype)], (*rows, width), dtype)
    above = e.graph.node("Mul", [high, sixteen], (*rows, width), dtype)
    low = e.graph.node("Sub", [whole, above], (*rows, width), dtype)
    halves = [e.reshaped(half, (*rows, width), (*rows, width, 1), dtype) for half in (low, high)]
    together = e.graph.node("Concat", halves, (*rows, width, 2), dtype, {"axis": len(rows) + 1})
    found = e.reshaped(together, (*rows, width, 2), (*rows, 2 * width), dtype)
    if size == 2 * width:
        return found
    ends = [e.graph.constant(np.asarray([number], np.int64)) for number in (0, size, len(rows))]
    return e.graph.node("Slice", [found, *ends], (*rows, size), dtype)


def _found(e: Emitter, atom: Any) -> Quantised:
    found = e.quantised(atom)
    assert found is not None  # noqa: S101 - the rules of products and of rows have asked
    return found
