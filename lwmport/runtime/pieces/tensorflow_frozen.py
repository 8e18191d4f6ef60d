"""A frozen graph, read node by node: the values of large constants stay in the file."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lwmport.errors import ArtifactError
from lwmport.runtime.pieces.tensorflow_nodes import Flat, whole
from lwmport.runtime.pieces.tensorflow_source import LARGE, Source, value_of
from lwmport.types import Array

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NODE: Final = 1
"""Field of a GraphDef (tensorflow/core/framework/graph.proto)."""


def read_frozen(tf: Any, path: Path) -> Source:
    """Return a frozen graph: its placeholders are the inputs, the nodes that nobody reads the outputs.

    Raises:
        ArtifactError: it is no GraphDef, or without such nodes.
    """
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    rest, nodes, places = tf.compat.v1.GraphDef(), [], dict[str, tuple[int, int]]()
    for number, start, end, begin in _fields(data):
        if number != _NODE:
            rest.MergeFromString(data[begin:end])
            continue
        node = tf.compat.v1.NodeDef.FromString(data[start:end])
        if node.op == "Const" and end - start > LARGE:
            places[node.name] = start, end
            _strip(node)
        nodes.append(node)
    inputs = [node.name for node in nodes if node.op == "Placeholder"]
    read = {name.lstrip("^").partition(":")[0] for node in nodes for name in node.input}
    ends = [node.name for node in nodes if node.name not in read]
    if not inputs or not ends:
        raise ArtifactError("expected a graph with placeholders, found none")
    flat = Flat(tf, rest)
    found = flat.add(nodes, [whole(name) for name in (*inputs, *ends)])

    def value(name: str) -> Array:
        start, end = places.get(name, (0, 0))
        node = tf.compat.v1.NodeDef.FromString(data[start:end]) if end else flat.nodes[name]
        return value_of(tf, node)

    return Source(
        nodes=flat.nodes,
        rest=rest,
        inputs=dict(zip(inputs, found, strict=False)),
        outputs=dict(zip(ends, found[len(inputs) :], strict=True)),
        constants=value,
        missing=frozenset(places),
    )


def _strip(node: Any) -> None:
    """Leave dtype and shape of a constant alone."""
    tensor = node.attr["value"].tensor
    kept = type(tensor)(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape)
    tensor.CopyFrom(kept)


def _fields(data: mmap.mmap) -> Iterator[tuple[int, int, int, int]]:
    """Yield the fields of a protocol buffer: number, where its content starts and ends, where its tag begins.

    Source: protobuf.dev/programming-guides/encoding.

    Raises:
        ArtifactError: the bytes are no protocol buffer.
    """
    at = 0
    while at < len(data):
        begin = at
        tag, at = _varint(data, at)
        kind, end = tag & 7, at
        if kind == _VARINT:
            _, end = _varint(data, at)
        elif kind == _BYTES:
            size, at = _varint(data, at)
            end = at + size
        elif kind in {_FIXED64, _FIXED32}:
            end = at + (8 if kind == _FIXED64 else 4)
        if end > len(data) or end == begin or kind not in {_VARINT, _FIXED64, _BYTES, _FIXED32}:
            raise ArtifactError(f"expected a whole graph, found damage at byte {begin}; the file is cut or no graph")
        yield tag >> 3, at, end, begin
        at = end


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ArtifactError(f"expected a whole graph, found damage at byte {at}; the file is cut or no graph")
