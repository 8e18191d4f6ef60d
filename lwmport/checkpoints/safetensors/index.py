"""The tensors of a safetensors file, from its JSON header.

Read here rather than by the library, which maps the whole file and keeps it. The rules are the library's: tensors
follow each other without gap or overlap and end with the file. Source: safetensors/src/tensor.rs.
"""

import json
from collections.abc import Mapping
from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry, check_shape
from lwmport.checkpoints.tree import add
from lwmport.errors import CheckpointError
from lwmport.wording import shown

MAX_HEADER: Final = 100_000_000
"""The library's own limit."""

DTYPES: Final = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "C64": "complex64",
}
"""safetensors' dtype -> numpy's name."""


def index(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every tensor lies, by the name that the file gives it.

    Raises:
        CheckpointError: truncated, or a header that contradicts itself or the file.
    """
    header = _header(cursor)
    header.pop("__metadata__", None)
    start, end = cursor.position, cursor.end
    entries: dict[str, TensorEntry] = {}
    for name, fields in header.items():
        try:
            add(entries, name, _entry(fields, start))
        except CheckpointError as error:
            raise CheckpointError(f"{shown(name)}: {error}") from error
    _check_order(entries, start, end)
    return entries


def _header(cursor: Cursor) -> dict[str, object]:
    length = cursor.unsigned(8, "little")
    if length > MAX_HEADER:
        raise CheckpointError(f"expected a header of at most {MAX_HEADER:,} bytes, found {length:,}")
    try:
        header = json.loads(cursor.take(length).decode(), object_pairs_hook=_once)
    # Text nested without end costs the parser its stack, long digits its patience; neither is a header.
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"damaged: the header is no JSON: {shown(str(error))}") from error
    if not isinstance(header, dict):
        raise CheckpointError("damaged: expected a JSON object as the header, found another value")
    return header


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckpointError("damaged: expected each name once in the header, found one twice")
    return found


def _entry(fields: object, start: int) -> TensorEntry:
    match fields:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [int() as begin, int() as end]}:
            if dtype not in DTYPES:
                raise CheckpointError(f"expected a dtype out of {', '.join(DTYPES)}, found {shown(dtype)!r}")
            if not 0 <= begin <= end:
                raise CheckpointError(f"damaged: data from {begin} to {end}")
            sizes = check_shape(tuple(shape))
            return TensorEntry(dtype=DTYPES[dtype], shape=sizes, pieces=((start + begin, end - begin),))
        case _:
            raise CheckpointError("damaged: expected dtype, shape and data_offsets in the header, found others")


def _check_order(entries: Mapping[str, TensorEntry], start: int, end: int) -> None:
    expected = start
    for piece, name in sorted((entry.pieces[0], name) for name, entry in entries.items()):
        if piece[0] != expected:
            what = "overlaps the tensor before" if piece[0] < expected else "leaves a gap before"
            raise CheckpointError(f"{shown(name)}: damaged: expected data at offset {expected}, found it {what}")
        expected += piece[1]
    if expected != end:
        kind = "truncated" if expected > end else "damaged"
        raise CheckpointError(f"{kind}: expected a file of {expected} bytes, found {end}")
