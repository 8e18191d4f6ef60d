"""A frozen graph and a SavedModel, read without the values of their weights."""

import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.errors import ArtifactError
from lwmport.runtime.pieces.tensorflow_nodes import Flat, data_inputs, owner, whole
from lwmport.runtime.runners.tensorflow import SIGNATURE
from lwmport.types import Array

LARGE: Final = 1 << 14
"""Bytes of a constant that is left in its file until it is asked for; smaller ones can be shapes and axes."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NODE: Final = 1
"""Field of a GraphDef (tensorflow/core/framework/graph.proto)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a file says.

    Attributes:
        nodes: all that its outputs need, by name, each behind what it reads, with whole names of tensors.
        rest: the GraphDef without its nodes: functions and versions.
        inputs, outputs: public names -> tensors.
        constants: returns the value of a constant or of a variable, by the node that holds it.
        missing: constants whose value is not in ``nodes``.
    """

    nodes: Mapping[str, Any]
    rest: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    constants: Callable[[str], Array]
    missing: frozenset[str]


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
        raise ArtifactError(f"expected a graph with placeholders at {path}, found none")
    flat = Flat(tf, rest)
    found = flat.add(nodes, [whole(name) for name in (*inputs, *ends)])

    def value(name: str) -> Array:
        start, end = places.get(name, (0, 0))
        node = tf.compat.v1.NodeDef.FromString(data[start:end]) if end else flat.nodes[name]
        return _value(tf, node)

    return Source(
        nodes=flat.nodes,
        rest=rest,
        inputs=dict(zip(inputs, found, strict=False)),
        outputs=dict(zip(ends, found[len(inputs) :], strict=True)),
        constants=value,
        missing=frozenset(places),
    )


def read_saved(tf: Any, path: Path) -> Source:
    """Return the graph behind the signature ``serving_default``; its variables are left in their files.

    Raises:
        ArtifactError: it is no SavedModel, or has no such signature.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graphs = [graph for graph in model.meta_graphs if SIGNATURE in graph.signature_def]
    if not graphs:
        raise ArtifactError(f"expected the signature {SIGNATURE} in {path}, found none")
    meta = graphs[0]
    library, nodes = meta.graph_def.library.function, list(meta.graph_def.node)
    signature = meta.signature_def[SIGNATURE]
    inputs, outputs = (
        {name: whole(side[name].name) for name in sorted(side)} for side in (signature.inputs, signature.outputs)
    )
    rest = type(meta.graph_def)(library=meta.graph_def.library, versions=meta.graph_def.versions)
    flat = Flat(tf, rest)
    found = flat.add(nodes, [*inputs.values(), *outputs.values()])
    keys = _keys(tf, library, nodes, meta.saver_def.restore_op_name)
    opened: list[Any] = []

    def value(name: str) -> Array:
        node = flat.nodes[name]
        if node.op == "Const":
            return _value(tf, node)
        if not opened:
            opened.append(tf.train.load_checkpoint(str(path / "variables" / "variables")))
        handle = owner(node.input[0]) if node.input else name
        if handle not in keys:
            raise ArtifactError(f"expected the variable {handle} in the files of {path}, found none")
        array: Array = opened[0].get_tensor(keys[handle])
        return array

    return Source(
        nodes=flat.nodes,
        rest=rest,
        inputs=dict(zip(inputs, found, strict=False)),
        outputs=dict(zip(outputs, found[len(inputs) :], strict=True)),
        constants=value,
        missing=frozenset(name for name, node in flat.nodes.items() if node.op == "Const" and node.ByteSize() > LARGE),
    )


def _keys(tf: Any, library: Any, nodes: list[Any], restore: str) -> dict[str, str]:
    """Return handle of a variable -> its key in the file of variables, as the model itself restores it."""
    by_name = {node.name: node for node in nodes}
    if restore not in by_name:
        return {}
    functions = {function.signature.name: function for function in library}
    call = by_name[restore]
    function = functions.get(call.attr["f"].func.name)
    found = {} if function is None else _restored(tf, function)
    return {owner(call.input[place]): key for place, key in found.items() if place < len(call.input)}


def _restored(tf: Any, function: Any) -> dict[int, str]:
    """Return argument of a function that restores -> the key that it reads for it."""
    nodes = {node.name: node for node in function.node_def}
    places = {each.name: place for place, each in enumerate(function.signature.input_arg)}
    found: dict[int, str] = {}
    for node in nodes.values():
        if node.op != "AssignVariableOp" or node.input[0] not in places:
            continue
        source = node.input[1]
        while nodes[owner(source)].op == "Identity":
            source = nodes[owner(source)].input[0]
        reader = nodes[owner(source)]
        if reader.op == "RestoreV2":
            names = tf.make_ndarray(nodes[owner(data_inputs(reader)[1])].attr["value"].tensor)
            found[places[node.input[0]]] = names[int(source.rpartition(":")[2])].decode()
    return found


def _value(tf: Any, node: Any) -> Array:
    found: Array = tf.make_ndarray(node.attr["value"].tensor)
    return found


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
