"""The constants that a weight of integers becomes: codes or blocks, scales, zero points; each promised once."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from lwmport.checkpoints.streaming import pieces_of
from lwmport.converters.onnx.bindings import Order
from lwmport.converters.onnx.emitter import Emitter
from lwmport.converters.walk import Quantised
from lwmport.quantise.packing import packed, paired
from lwmport.quantise.rounding import middle
from lwmport.types import Array, dtype_of


def blocks(e: Emitter, found: Quantised) -> ir.Value:
    """Return the packed codes [channels, groups, bytes of a group]."""
    name = f"{found.name}/blocks"
    shape, produce = e.packed.specs[name].shape, lambda: pieces_of(e.packed, name)
    return e.part(found.name, "", shape, np.dtype(np.uint8), produce, "blocks")


def flat_blocks(e: Emitter, found: Quantised) -> ir.Value:
    """Return the packed codes [channels, bytes]: those of `blocks`, where a product reads them too."""
    channels, groups, size = e.packed.specs[f"{found.name}/blocks"].shape
    shape = (channels, groups * size)
    if any(reader is None or reader.primitive.name != "gather" for reader in e.readers_of(found.name)):
        return e.reshaped(blocks(e, found), (channels, groups, size), shape, np.dtype(np.uint8))
    produce = lambda: pieces_of(e.packed, f"{found.name}/blocks")  # noqa: E731 - a promise, kept by the writer
    return e.part(found.name, "", shape, np.dtype(np.uint8), produce, "blocks")


def codes(e: Emitter, found: Quantised) -> ir.Value:
    """Return the codes of a matrix or a table in its own order; two of 4 bits share a byte, whatever their rows."""
    scheme, shape = found.scheme, e.packed.specs[found.name].shape

    def produce() -> Iterator[Array]:
        rest = np.empty(0, np.uint8)
        for piece in pieces_of(e.packed, found.name):
            signed = signed_bits(piece, scheme.bits) if scheme.symmetric else piece
            if scheme.bits == 8:
                yield signed.view(kind)
                continue
            together = np.concatenate([rest, signed])
            even = together.size // 2 * 2
            yield paired(together[0:even:2], together[1:even:2])
            rest = together[even:]
        if rest.size:
            yield rest

    kind = dtype_of(f"{'' if scheme.symmetric else 'u'}int{scheme.bits}")
    return e.part(found.name, "", shape, kind, produce, "codes")


def kernel(e: Emitter, found: Quantised, order: Order, shape: Sequence[int]) -> ir.Value:
    """Emit DequantizeLinear of a kernel in an axis order: int8, with a scale for each output channel.

    Of a kernel whose values are stored QuantizeLinear makes the codes.
    """
    attributes = {"axis": order.index(len(order) - 1)}
    channels = (shape[attributes["axis"]],)
    stored = kernel_codes(e, found, order, shape)
    grid = [_grid(e, found, "scales", channels, np.ravel)]
    if found.scheme.dtype == found.scheme.computed:
        grid.append(e.graph.constant(np.zeros(channels, np.int8), "zero_point"))
        stored = e.graph.node("QuantizeLinear", [stored, *grid], shape, np.dtype(np.int8), attributes)
    return e.graph.node("DequantizeLinear", [stored, *grid], shape, found.scheme.computed, attributes)


def kernel_codes(e: Emitter, found: Quantised, order: Order, shape: Sequence[int]) -> ir.Value:
    """Return what is stored of a kernel in an axis order: its codes, or its values."""
    turned = lambda: e.packed.read(found.name).transpose(order)  # noqa: E731 - a promise, kept by the writer
    return e.part(found.name, "", shape, np.dtype(found.scheme.dtype), turned, ("codes", order))


def bias(e: Emitter, atom: Any, channels: int) -> ir.Value | None:
    """Emit DequantizeLinear of the bias of a convolution of integers: int32; None for another bias."""
    name = e.program.known.rearranged(atom)
    if name not in e.schemes or e.schemes[name].dtype != "int32":
        return None
    parts = [(name, "", np.dtype(np.int32)), (f"{name}/scales", "/scales", np.dtype(np.float32))]
    operands = [
        e.part(name, suffix, (channels,), dtype, lambda part=part: e.packed.read(part), ("bias", part))  # type: ignore[misc]
        for part, suffix, dtype in parts
    ]
    return e.graph.node("DequantizeLinear", operands, (channels,), atom.aval.dtype, {"axis": 0})


def scales(e: Emitter, found: Quantised, *, by_channel: bool = False, flat: bool = False) -> ir.Value:
    """Return the scales, in the order of the codes, [channels, groups], or behind each other."""
    shape, turn = _layout(e, found, by_channel=by_channel)
    return _grid(e, found, "scales", (math.prod(shape),), np.ravel) if flat else _grid(e, found, "scales", shape, turn)


def zero_points(e: Emitter, found: Quantised, *, flat: bool = False) -> ir.Value | None:
    """Return the zero points as `scales` has them, with as many bits as codes; None where codes are symmetric."""
    if found.scheme.symmetric:
        return None
    shape, kind = e.packed.specs[f"{found.name}/zero_points"].shape, dtype_of(f"uint{found.scheme.bits}")
    shape = (math.prod(shape),) if flat else shape

    def bits(zeros: Array) -> Array:
        return packed(zeros.reshape(-1), found.scheme.bits).reshape(-1 if found.scheme.bits < 8 else shape)

    return _grid(e, found, "zero_points", shape, bits, kind)


def zero_bytes(e: Emitter, found: Quantised, *, flat: bool = False) -> ir.Value:
    """Return the zero points of each channel packed to bytes; those of symmetric codes, which are all the same, too.

    They are [channels, bytes], or all of them behind each other.
    """
    bits, ((channels, groups), turn) = found.scheme.bits, _layout(e, found, by_channel=True)
    if found.scheme.symmetric:
        middles = np.full((channels, groups), middle(bits), np.uint8)
        return e.graph.constant(packed(middles, bits), f"{found.name}/zero_points")
    size = -(-groups * bits // 8)
    shape = (channels * size,) if flat else (channels, size)
    return _grid(
        e, found, "zero_points", shape, lambda zeros: packed(turn(zeros), bits).reshape(shape), np.dtype(np.uint8)
    )


def signed_bits(codes: Array, bits: int) -> Array:
    """Return the bits of symmetric codes as those of signed integers, with zero at 0."""
    return codes ^ np.uint8(middle(bits))


def _layout(e: Emitter, found: Quantised, *, by_channel: bool) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """Return the shape of scales in an order, and what brings them there."""
    shape = e.packed.specs[f"{found.name}/scales"].shape
    if by_channel and found.scheme.channel != 0:
        return shape[::-1], lambda array: np.ascontiguousarray(array.T)
    return shape, lambda array: array


def _grid(
    e: Emitter,
    found: Quantised,
    part: str,
    shape: Sequence[int],
    turn: Callable[[Array], Array],
    dtype: np.dtype[np.generic] | None = None,
) -> ir.Value:
    """Return scales or zero points as a constant."""
    name = f"{found.name}/{part}"
    dtype = dtype or dtype_of(e.packed.specs[name].dtype)
    return e.part(found.name, f"/{part}", shape, dtype, lambda: turn(e.packed.read(name)), (part, tuple(shape)))
