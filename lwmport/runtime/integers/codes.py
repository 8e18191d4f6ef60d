"""The codes behind a value that DequantizeLinear made, and behind a packed weight of MatMulNBits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lwmport.quantise.packing import unpacked
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array

RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int32": (-(2**31), 2**31 - 1),
}
"""dtype of codes -> the least and the largest."""


@dataclass(frozen=True, kw_only=True)
class Codes:
    """Whole numbers of steps that a value is made of, float32 without the zero point.

    Attributes:
        steps: ``code - zero``, in the value's shape.
        scale: what a step is, in a shape that spreads over the value's.
        zero: the zero point; 0 where each channel has its own, which are 0 then.
        dtype: of the codes.
    """

    steps: Array
    scale: Array
    zero: int
    dtype: str

    @property
    def unsigned(self) -> Array:
        """The codes from 0 to 255."""
        return self.steps + np.float32(self.zero + (128 if self.dtype == "int8" else 0))

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the largest of what `steps` can be."""
        least, largest = RANGES[self.dtype]
        return least - self.zero, largest - self.zero


def codes_of(value: Array, maker: Operator, read: Callable[[str], Array]) -> Codes | None:
    """Return the codes of a value; None where its maker makes none of 8 or 32 bits with one scale a tensor or channel.

    Args:
        value: what DequantizeLinear gave.
        maker: that operator.
        read: gives the value of an operand.
    """
    if maker.type != "DequantizeLinear" or maker.attributes.get("block_size"):
        return None
    scale, zeros = operands(maker, read)
    wide = np.asarray(spread(scale, value.ndim, maker.attributes.get("axis", 1)), np.float32)
    if zeros.dtype.name not in RANGES or (zeros.size > 1 and zeros.any()):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(wide == 0, np.float32(0), np.rint(value / wide)).astype(np.float32)
    return Codes(steps=steps, scale=wide, zero=int(zeros.reshape(-1)[0]), dtype=zeros.dtype.name)


def operands(operator: Operator, read: Callable[[str], Array]) -> tuple[Array, Array]:
    """Return scale and zero point of QuantizeLinear or DequantizeLinear, whose dtype is that of the codes."""
    scale = read(operator.inputs[1])
    if len(operator.inputs) > 2 and operator.inputs[2]:
        return scale, read(operator.inputs[2])
    dtype = read(operator.inputs[0]).dtype if operator.type == "DequantizeLinear" else np.dtype(np.uint8)
    return scale, np.zeros(1, dtype)


def spread(scale: Array, rank: int, axis: int) -> Array:
    """Return a scale a channel in a shape that spreads over a value of that rank; one for all as it is."""
    if scale.size == 1:
        return scale.reshape(())
    return scale.reshape([-1 if at == axis % rank else 1 for at in range(rank)])


def packed_codes(operator: Operator, read: Callable[[str], Array]) -> tuple[Array, Array]:
    """Return the codes [outputs, groups, values] of a MatMulNBits, and its zero points [outputs, groups]."""
    given: Mapping[str, Any] = operator.attributes
    bits, group, outputs = given["bits"], given["block_size"], given["N"]
    blocks = read(operator.inputs[1]).reshape(outputs, -1, group * bits // 8)
    zeros = read(operator.inputs[3]) if len(operator.inputs) > 3 and operator.inputs[3] else None
    count = blocks.shape[1]
    if zeros is None:
        found = np.full((outputs, count), 1 << (bits - 1), np.uint8)
    elif zeros.dtype == np.uint8:
        found = unpacked(zeros.reshape(outputs, -1), bits, count)
    else:
        found = zeros.reshape(outputs, count)
    return unpacked(blocks, bits, group), found
