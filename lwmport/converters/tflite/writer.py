"""Writing a TFLite file: the flatbuffer first, then the weights, streamed one tensor at a time.

``Buffer.offset`` and ``Buffer.size`` are TFLite's own way to models over 2 GB. All sizes are known from the plan, so
the flatbuffer is packed twice, with empty and with true offsets, and memory follows the largest single tensor.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

import numpy as np

from lwmport import atomic
from lwmport.converters.tflite.flatbuffer import External, Inline, Model, pack
from lwmport.converters.tflite.graph import Tensor
from lwmport.converters.tflite.sizes import static_shape
from lwmport.errors import LoweringError
from lwmport.types import Array, Progress

INLINE_BYTES: Final = 1024
"""Smaller constants stay inside the flatbuffer."""

ALIGNMENT: Final = 64
"""Of the weights in the file: TFLite's kDefaultTensorAlignment, so that kernels may read them where they are."""

STRIP_BYTES: Final = 8 << 20
"""Of a transposed weight at a time."""

_ANYWHERE: Final = 1 << 40
"""Stands for an offset that is not known yet; 0 would be left out of the flatbuffer and change its length."""


def write_model(model: Model, path: Path, progress: Progress) -> None:
    """Write the file.

    Raises:
        LoweringError: a promised constant came out with another shape or dtype.
    """
    inline: dict[Tensor, Inline | External] = {}
    unplaced: dict[Tensor, Inline | External] = {}
    for tensor in model.constants():
        if tensor.nbytes < INLINE_BYTES:
            inline[tensor] = Inline(data=_produce(tensor).tobytes())
        else:
            unplaced[tensor] = External(offset=_ANYWHERE, size=tensor.nbytes)
    offsets = _place(unplaced, len(pack(model, inline | unplaced)))
    with atomic.new_file(path) as file:
        file.write(pack(model, inline | offsets))
        _write_data(file, offsets, progress)


def _place(tensors: Iterable[Tensor], start: int) -> dict[Tensor, Inline | External]:
    """Return where each tensor goes, one behind the other from ``start`` on."""
    found: dict[Tensor, Inline | External] = {}
    for tensor in tensors:
        offset = -(-start // ALIGNMENT) * ALIGNMENT
        found[tensor] = External(offset=offset, size=tensor.nbytes)
        start = offset + tensor.nbytes
    return found


def _write_data(file: IO[bytes], places: Mapping[Tensor, Inline | External], progress: Progress) -> None:
    total, done = sum(tensor.nbytes for tensor in places), 0
    for tensor, place in places.items():
        if isinstance(place, External):
            file.write(bytes(place.offset - file.tell()))
        for strip in _strips(_produce(tensor)):
            file.write(strip.data)
        done += tensor.nbytes
        progress(tensor.source or tensor.name, done, total)


def _strips(array: Array) -> Iterator[Array]:
    """Yield the array in rows that lie one behind the other, so that a transposed one is never copied whole."""
    if array.flags.c_contiguous:
        yield array
        return
    size = max(1, STRIP_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), size):
        yield np.ascontiguousarray(array[start : start + size])


def _produce(tensor: Tensor) -> Array:
    if tensor.produce is None:
        raise LoweringError(f"expected a constant, found the computed tensor {tensor.name}")
    array = np.asarray(tensor.produce())
    if array.shape != static_shape(tensor.shape) or array.dtype.name != tensor.dtype:
        raise LoweringError(
            f"expected {tensor.dtype}{list(tensor.shape)} for {tensor.name}, found {array.dtype}{list(array.shape)}"
        )
    return array
