"""flax's arrays inside msgpack: an extension of (shape, dtype, bytes), and chunks of those where one is too long.

Source: flax/serialization.py. Chunks are flat pieces in C order: ``{"__msgpack_chunked_array__": True,
"shape": {"0": ..}, "chunks": {"0": array, ..}}``.
"""

from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry, check_shape
from lwmport.checkpoints.msgpack.walk import Blob, Extension, Walker
from lwmport.errors import CheckpointError
from lwmport.wording import kind_of

CHUNKED: Final = "__msgpack_chunked_array__"
NDARRAY: Final = 1
SCALAR: Final = 3
"""Extension codes: an array, and a numpy scalar stored as one; 2 is a Python complex, which no checkpoint holds."""

MAX_PARTS: Final = 64
"""Objects inside one array: its shape, dtype and bytes."""


def array_entry(value: object, cursor: Cursor) -> TensorEntry | None:
    """Return the entry of an array that `Walker` found, or None if ``value`` is an ordinary dict.

    Raises:
        CheckpointError: something else, or a damaged array.
    """
    if isinstance(value, Extension) and value.code in {NDARRAY, SCALAR}:
        return _stored(value, cursor)
    if not isinstance(value, dict):
        raise CheckpointError(f"expected an array or a dict, found {kind_of(value)}")
    return _chunked(value, cursor) if CHUNKED in value else None


def _stored(value: Extension, cursor: Cursor) -> TensorEntry:
    walker = Walker(cursor.window(value.offset, value.length), MAX_PARTS)
    match walker.value():
        case (list() as shape, str() as dtype, Blob() as data):
            entry = TensorEntry(
                dtype=dtype,
                shape=check_shape(tuple(shape)),
                pieces=((data.offset, data.length),),
            )
        case _:
            raise CheckpointError(f"damaged: no flax array at offset {value.offset}")
    if walker.cursor.left:
        raise CheckpointError(f"damaged: {walker.cursor.left} bytes after the array at offset {value.offset}")
    return entry


def _chunked(value: dict[str, object], cursor: Cursor) -> TensorEntry:
    shape = check_shape(tuple(_sequence(value.get("shape"))))
    chunks = [_chunk(chunk, cursor) for chunk in _sequence(value.get("chunks"))]
    dtypes = {chunk.dtype for chunk in chunks}
    if len(dtypes) != 1:
        raise CheckpointError(f"damaged: expected chunks of one dtype, found {len(dtypes)}")
    return TensorEntry(
        dtype=dtypes.pop(),
        shape=shape,
        pieces=tuple(piece for chunk in chunks for piece in chunk.pieces),
    )


def _chunk(value: object, cursor: Cursor) -> TensorEntry:
    if not isinstance(value, Extension) or value.code != NDARRAY:
        raise CheckpointError(f"damaged: expected an array as a chunk, found {kind_of(value)}")
    return _stored(value, cursor)


def _sequence(value: object) -> list[object]:
    """Undo that flax writes a tuple as a dict of "0", "1", ..."""
    if not isinstance(value, dict) or set(value) != {str(i) for i in range(len(value))}:
        raise CheckpointError("damaged: a chunked array without its shape or its chunks")
    return [value[str(i)] for i in range(len(value))]
