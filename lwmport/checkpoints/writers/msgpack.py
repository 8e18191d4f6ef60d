"""Writes flax's msgpack, byte for byte as flax does: as LWM's stream, or as one tree.

The lengths stand before what they measure, so they are computed from the shapes before any tensor is read.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgpack

from lwmport.checkpoints.msgpack.flax_arrays import CHUNKED, NDARRAY
from lwmport.checkpoints.writers.base import Sink, nested
from lwmport.errors import CheckpointError
from lwmport.types import WeightSpec, dtype_of

MAX_CHUNK: Final = 1 << 30
"""Bytes of an array from which flax cuts it into chunks of that size."""

MAX_BLOB: Final = (1 << 32) - 1
"""Bytes that msgpack can hold in one value."""

FIXED_EXTENSIONS: Final = {1: b"\xd4", 2: b"\xd5", 4: b"\xd6", 8: b"\xd7", 16: b"\xd8"}


def write_stream(sink: Sink) -> None:
    """Write LWM's stream: a pair (path, bytes of the array) for each tensor.

    Raises:
        CheckpointError: a tensor is over 4 GiB, which no value of such a stream can be.
    """
    lengths = {name: _length(sink.specs[name]) for name in sink.names}
    for name, length in lengths.items():
        if length > MAX_BLOB:
            raise CheckpointError(
                f"{name}: expected at most {MAX_BLOB:,} bytes, which is all that one value of a msgpack stream holds, "
                f"found {length:,}; write it as safetensors or flax_msgpack, cast it to 2 bytes, or unstack the layers",
            )
    for name, length in lengths.items():
        sink.write(b"\x92" + pack(name.split("/")) + blob_header(length))
        _array(sink, name)


def write_tree(sink: Sink) -> None:
    """Write one map of maps, as ``flax.serialization.to_bytes`` does."""
    _tree(sink, nested(sink.names))


def _tree(sink: Sink, tree: dict[str, Any]) -> None:
    sink.write(map_header(len(tree)))
    for key, value in tree.items():
        sink.write(pack(key))
        if isinstance(value, dict):
            _tree(sink, value)
        else:
            _array(sink, value)


def _array(sink: Sink, name: str) -> None:
    spec = sink.specs[name]
    itemsize = dtype_of(spec.dtype).itemsize
    sink.pour_parts(name, ((header, (end - begin) * itemsize) for header, begin, end in _layout(spec)))


def _length(spec: WeightSpec) -> int:
    return spec.nbytes + sum(len(header) for header, _, _ in _layout(spec))


def _layout(spec: WeightSpec) -> Iterator[tuple[bytes, int, int]]:
    """Yield what goes before each part of an array, and where that part begins and ends, counted in elements."""
    itemsize = dtype_of(spec.dtype).itemsize
    size = spec.nbytes // itemsize
    if spec.nbytes <= MAX_CHUNK:
        yield _extension(spec.shape, spec.dtype), 0, size
        return
    step = max(1, MAX_CHUNK // itemsize)
    header = _chunked_header(spec.shape, -(-size // step))
    for number, begin in enumerate(range(0, size, step)):
        end = min(begin + step, size)
        yield header + pack(str(number)) + _extension((end - begin,), spec.dtype), begin, end
        header = b""


def _chunked_header(shape: tuple[int, ...], chunks: int) -> bytes:
    sizes = {str(axis): size for axis, size in enumerate(shape)}
    return (
        map_header(3)
        + pack(CHUNKED)
        + pack(obj=True)
        + pack("shape")
        + pack(sizes)
        + pack("chunks")
        + map_header(chunks)
    )


def _extension(shape: tuple[int, ...], dtype: str) -> bytes:
    """Return everything of flax's array extension but its bytes."""
    nbytes = WeightSpec(shape=shape, dtype=dtype).nbytes
    inner = b"\x93" + pack(shape) + pack(dtype) + blob_header(nbytes)
    return extension_header(NDARRAY, len(inner) + nbytes) + inner


def pack(obj: object) -> bytes:
    """Return a small object as msgpack."""
    packed: bytes = msgpack.packb(obj)
    return packed


def map_header(count: int) -> bytes:
    """Return the header of a map of ``count`` pairs."""
    return _header(count, ((0x10, 0x80, 0), (1 << 16, 0xDE, 2), (1 << 32, 0xDF, 4)))


def blob_header(length: int) -> bytes:
    """Return the header of ``length`` binary bytes."""
    return _header(length, ((1 << 8, 0xC4, 1), (1 << 16, 0xC5, 2), (1 << 32, 0xC6, 4)))


def extension_header(code: int, length: int) -> bytes:
    """Return the header of an extension of ``length`` bytes."""
    start = FIXED_EXTENSIONS.get(length)
    if start is None:
        start = _header(length, ((1 << 8, 0xC7, 1), (1 << 16, 0xC8, 2), (1 << 32, 0xC9, 4)))
    return start + bytes([code])


def _header(count: int, forms: tuple[tuple[int, int, int], ...]) -> bytes:
    """Return the shortest of ``forms``, each (limit, type code, width of the count, 0 if it is in the code)."""
    code, width = next((code, width) for limit, code, width in forms if count < limit)
    return bytes([code]) + count.to_bytes(width, "big") if width else bytes([code + count])
