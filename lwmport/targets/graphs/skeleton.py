"""An ONNX model without its large tensors: a few kilobytes that stand for gigabytes.

A tensor whose bytes lie in the model itself comes out as one with external data at the location `ITSELF`, with offset
and length in that file, so that all large tensors are read one way.
"""

import mmap
from typing import Final, TypeAlias

from lwmport.errors import ArtifactError
from lwmport.wire import BYTES, DEPTH, Field, Message

ITSELF: Final = "\x00"
"""The location of a tensor inside the model file; no file has this name."""

UNREAD: Final = "\x00unread"
"""The location of a large tensor kept as varints, whose elements have no fixed place."""

KEPT: Final = 4096
"""Bytes of the largest tensor that stays in the skeleton."""

KEPT_VARINTS: Final = 1 << 20
"""The same for tensors kept as varints."""

FIELDS: Final = 600_000
"""Nodes, values and weights of a graph, and fields of what is looked into; a model of 100,000 nodes has fewer."""

_Schema: TypeAlias = "dict[int, str]"
SCHEMAS: Final[dict[str, _Schema]] = {
    "Model": {7: "Graph", 25: "Function"},
    "Graph": {1: "Node", 5: "Tensor"},
    "Function": {7: "Node"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph"},
}
"""Message -> the fields that hold messages with tensors. Source: onnx/onnx.proto3."""

EXTERNAL_DATA: Final = 13
"""external_data of a TensorProto: entries of a key and a value."""

RAW: Final = (4, 9, 10)
"""float_data, raw_data and double_data of a TensorProto: little-endian elements."""

VARINTS: Final = (5, 7, 11)
"""int32_data, int64_data and uint64_data of a TensorProto."""


def skeleton(data: mmap.mmap) -> bytes:
    """Return the bytes of an ONNX model with every large tensor replaced by a reference.

    Raises:
        ArtifactError: the file is no protocol buffer, or is nested too deeply.
    """
    return _strip(Message(data, 0, len(data), [FIELDS]), "Model", 0)


def _strip(message: Message, name: str, depth: int) -> bytes:
    if depth > DEPTH:
        raise ArtifactError(f"expected at most {DEPTH} messages within each other, found more; no model needs them")
    out = bytearray()
    copied = message.start  # all before it is in ``out``; what lies between is copied in one piece
    at = message.start
    for field in message:
        inner = SCHEMAS[name].get(field.number) if field.kind == BYTES else None
        if inner and not _is_plain(message, field):
            out += message.data[copied:at]
            part = message.inner(field)
            out += _wrapped(field.number, _tensor(part) if inner == "Tensor" else _strip(part, inner, depth + 1))
            copied = field.end
        at = field.end
    return bytes(out + message.data[copied:at])


def _is_plain(message: Message, field: Field) -> bool:
    """Return whether nothing in a field is to be replaced or refused: it is small, and locates no tensor oddly."""
    if field.end - field.start > KEPT:
        return False
    content = message.data[field.start : field.end]
    return b"location" not in content or b"\0" not in content


def _tensor(message: Message) -> bytes:
    fields = list(message)
    places = [message.inner(field) for field in fields if field.number == EXTERNAL_DATA and field.kind == BYTES]
    if any(b"\0" in place.bytes(text) for place in places for text in place if text.kind == BYTES):
        raise ArtifactError("expected a file name as the place of external data, found one with a zero byte")
    payload = [field for field in fields if field.kind == BYTES and field.number in (*RAW, *VARINTS)]
    large = [field for field in payload if field.end - field.start > (KEPT if field.number in RAW else KEPT_VARINTS)]
    if not large:
        return b"".join(_copy(message, field) for field in fields)
    out = b"".join(_copy(message, field) for field in fields if field not in payload)
    readable = len(payload) == 1 and large[0].number in RAW
    reference = {
        "location": ITSELF if readable else UNREAD,
        "offset": str(large[0].start),
        "length": str(large[0].end - large[0].start),
    }
    return out + b"".join(_wrapped(EXTERNAL_DATA, _entry(*pair)) for pair in reference.items()) + b"\x70\x01"


def _entry(key: str, value: str) -> bytes:
    return _wrapped(1, key.encode()) + _wrapped(2, value.encode())


def _wrapped(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _copy(message: Message, field: Field) -> bytes:
    content = message.bytes(field)
    return _wrapped(field.number, content) if field.kind == BYTES else _varint(field.number << 3 | field.kind) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
