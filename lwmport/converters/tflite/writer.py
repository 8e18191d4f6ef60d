"""Writing a TFLite file: the flatbuffer first, then the weights, streamed one tensor at a time.

``Buffer.offset`` and ``Buffer.size`` are TFLite's own way to models over 2 GB. All sizes are known from the plan, so
the flatbuffer is packed twice, with empty and with true offsets, and memory follows the largest single tensor.
For readers that know no offsets of buffers the weights are vectors of the flatbuffer, at its end, streamed as well.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

import numpy as np

from lwmport import atomic
from lwmport.converters.tflite.flatbuffer import VECTOR_HEAD, External, Inline, Model, Place, Trailing, pack
from lwmport.converters.tflite.graph import Channels, Tensor
from lwmport.converters.tflite.sizes import static_shape
from lwmport.errors import LoweringError
from lwmport.types import Array, Progress

INLINE_BYTES: Final = 1024
"""Smaller constants stay inside the flatbuffer."""

ALIGNMENT: Final = 64
"""Of the weights in the file: TFLite's kDefaultTensorAlignment, so that kernels may read them where they are."""

STRIP_BYTES: Final = 8 << 20
"""Of a transposed weight at a time."""

FLATBUFFER_LIMIT: Final = 2**31 - 1
"""FLATBUFFERS_MAX_BUFFER_SIZE of flatbuffers' base.h: a verifier refuses more."""

_ANYWHERE: Final = 1 << 30
"""Stands for a place that is not known yet; 0 would be left out of the flatbuffer and change its length."""


def write_model(model: Model, path: Path, progress: Progress) -> None:
    """Write the file.

    Raises:
        LoweringError: a promised constant came out with another shape or dtype, or embedded weights are 2 GiB.
    """
    inline: dict[Tensor, Place] = {}
    large: list[Tensor] = []
    scales: dict[Tensor, Array] = {}
    for tensor in model.constants():
        if tensor.nbytes < INLINE_BYTES:
            inline[tensor] = Inline(data=b"".join(part.tobytes() for part in _parts(tensor)))
            scales |= _scales(tensor)
        else:
            large.append(tensor)
    unplaced = {tensor: _at(model, tensor, _ANYWHERE, _ANYWHERE) for tensor in large}
    places = _place(model, large, len(pack(model, inline | unplaced).data))
    if model.embedded:
        _check_length(places, path)
    with atomic.new_file(path) as file:
        packed = pack(model, inline | places)
        file.write(packed.data)
        scales |= _write_data(file, places, progress)
        for tensor, array in scales.items():
            file.seek(packed.scales[tensor])
            file.write(array.data)


def _at(model: Model, tensor: Tensor, offset: int, length: int) -> Place:
    if model.embedded:
        return Trailing(offset=offset, size=tensor.nbytes, length=length)
    return External(offset=offset, size=tensor.nbytes)


def _place(model: Model, tensors: Iterable[Tensor], length: int) -> dict[Tensor, Place]:
    """Return where each tensor goes, one behind the other from the end of the tables on."""
    found: dict[Tensor, Place] = {}
    head = VECTOR_HEAD if model.embedded else 0
    start = length
    for tensor in tensors:
        offset = -(-(start + head) // ALIGNMENT) * ALIGNMENT
        found[tensor] = _at(model, tensor, offset, length)
        start = offset + tensor.nbytes
    return found


def _check_length(places: Mapping[Tensor, Place], path: Path) -> None:
    """Raise unless all vectors end within what a flatbuffer may be."""
    end = max((place.offset + place.size for place in places.values() if isinstance(place, Trailing)), default=0)
    if end > FLATBUFFER_LIMIT:
        raise LoweringError(
            f"expected at most {FLATBUFFER_LIMIT} bytes in a TFLite file that holds its weights in its tables, found "
            f"{end} for {path.name}; convert a block at a time, or to ONNX"
        )


def _write_data(file: IO[bytes], places: Mapping[Tensor, Place], progress: Progress) -> dict[Tensor, Array]:
    """Write the weights, and return the scales that lie in the tables, which are known with their codes."""
    total, done = sum(tensor.nbytes for tensor in places), 0
    scales: dict[Tensor, Array] = {}
    for tensor, place in places.items():
        if isinstance(place, Trailing):
            file.write(bytes(place.offset - VECTOR_HEAD - file.tell()))
            file.write(place.size.to_bytes(VECTOR_HEAD, "little"))
        elif isinstance(place, External):
            file.write(bytes(place.offset - file.tell()))
        for part in _parts(tensor):
            file.write(part.data)
        scales |= _scales(tensor)
        done += tensor.nbytes
        progress(tensor.source or tensor.name, done, total)
    return scales


def _scales(tensor: Tensor) -> dict[Tensor, Array]:
    """Return the scales of a tensor that has one for each channel, float32."""
    if not isinstance(tensor.scales, Channels):
        return {}
    found = np.ascontiguousarray(tensor.scales.produce(), np.float32).reshape(-1)
    if len(found) != tensor.scales.count:
        raise LoweringError(f"expected {tensor.scales.count} scales for {tensor.name}, found {len(found)}")
    return {tensor: found}


def _parts(tensor: Tensor) -> Iterator[Array]:
    """Yield the bytes of a constant in parts that lie one behind the other."""
    if tensor.produce is None:
        raise LoweringError(f"expected a constant, found the computed tensor {tensor.name}")
    produced = tensor.produce()
    if not isinstance(produced, Iterator):
        yield from _strips(_checked(tensor, np.asarray(produced)))
        return
    found = 0
    for piece in produced:
        found += piece.nbytes
        yield piece
    if found != tensor.nbytes:
        raise LoweringError(f"expected {tensor.nbytes} bytes for {tensor.name}, found {found}")


def _strips(array: Array) -> Iterator[Array]:
    """Yield the array in rows that lie one behind the other, so that a transposed one is never copied whole."""
    if array.flags.c_contiguous:
        yield array
        return
    size = max(1, STRIP_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), size):
        yield np.ascontiguousarray(array[start : start + size])


def _checked(tensor: Tensor, array: Array) -> Array:
    if array.shape != static_shape(tensor.shape) or array.dtype.name != tensor.dtype:
        raise LoweringError(
            f"expected {tensor.dtype}{list(tensor.shape)} for {tensor.name}, found {array.dtype}{list(array.shape)}"
        )
    return array
