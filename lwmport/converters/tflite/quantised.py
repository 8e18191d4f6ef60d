"""Weights that are stored as integers (`lwmport.checkpoints.quantised`), and the operators that read them as such.

FULLY_CONNECTED and CONV_2D round what is multiplied to 8 bits by themselves, a row or a picture at a time. Where
weights alone are to be rounded, DEQUANTIZE makes float32 of them, once, while the delegate prepares.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.streaming import pieces_of
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Blocks, Channels, Tensor
from lwmport.converters.tflite.sizes import product
from lwmport.converters.walk import Quantised
from lwmport.graphs.atoms import shape_of
from lwmport.types import Array

SIGNS: Final = {8: 0x80, 4: 0x88}
"""Bits of a code -> what makes two's complement of the codes of a byte, whose zero is in the middle."""

OUTPUT_FIRST: Final = (3, 0, 1, 2)
"""Axes of a kernel [height, width, inputs, outputs] in the order of TFLite, in which codes are stored."""


def product_of(e: Emitter, atom: Any, summed: Sequence[int]) -> Quantised | None:
    """Return the weight of integers that FULLY_CONNECTED can multiply with; None for what has to be numbers."""
    found = e.quantised(atom)
    fits = found is not None and found.scheme.turned and tuple(summed) == (found.grouped,)
    return found if fits else None


def table_of(e: Emitter, atom: Any) -> Quantised | None:
    """Return the table of integers whose rows EMBEDDING_LOOKUP can look up; its scales go by rows."""
    found = e.quantised(atom)
    return found if found is not None and found.scheme.turned and found.grouped == 1 else None


def kernel_of(e: Emitter, atom: Any, order: Sequence[int]) -> Quantised | None:
    """Return the kernel of integers that CONV_2D can read; ``order`` is that of its axes in TFLite."""
    found = e.quantised(atom)
    return found if found is not None and found.scheme.turned and tuple(order) == OUTPUT_FIRST else None


def constant(e: Emitter, found: Quantised, shape: Sequence[int]) -> Tensor:
    """Return the codes of a weight, outputs in front; or their numbers, where what reads them is to round nothing."""
    codes = _codes(e, found, shape)
    return codes if found.scheme.activations else e.widened(codes)


def rows(e: Emitter, found: Quantised, positions: Tensor, out: Any) -> None:
    """Emit EMBEDDING_LOOKUP, which takes a vector of int32 and makes numbers of the rows that it looks up."""
    flat = (product(positions.shape),)
    positions = e.cast(positions, np.int32)
    if positions.shape != flat:
        positions = e.reshape(positions, flat)
    table = _codes(e, found, e.weights.specs[found.name].shape)
    value = e.graph.operation("EMBEDDING_LOOKUP", [positions, table], (*flat, table.shape[1]), out.aval.dtype)
    e.bind(out, value if value.shape == shape_of(out) else e.reshape(value, shape_of(out)))


def _codes(e: Emitter, found: Quantised, shape: Sequence[int]) -> Tensor:
    """Return the codes of a weight in the shape in which an operator reads them, once for all who do."""
    scheme, name = found.scheme, found.name

    def produce() -> Iterator[Array]:
        sign = np.uint8(SIGNS[scheme.bits])
        return (piece ^ sign for piece in pieces_of(e.packed, f"{name}/blocks"))

    def make() -> Tensor:
        return e.graph.tensor(name, shape, f"int{scheme.bits}", produce, name, _scales(e, found))

    return e.graph.once(("codes", name, tuple(shape)), make)


def _scales(e: Emitter, found: Quantised) -> Channels | Blocks:
    name, scheme = f"{found.name}/scales", found.scheme
    spec = e.packed.specs[name]
    read = lambda: e.packed.read(name)  # noqa: E731 - a promise, kept by the writer
    if not scheme.group:
        return Channels(count=spec.shape[0], produce=read)
    scales = e.graph.shared(("scales", found.name), name, spec.shape, spec.dtype, read, found.name)
    return Blocks(size=scheme.group, scales=scales)
