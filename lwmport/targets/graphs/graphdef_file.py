"""Reading any frozen graph (a TensorFlow GraphDef) for checking, without TensorFlow and without its constants.

Source: tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape,types}.proto.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lwmport.errors import ArtifactError
from lwmport.targets.graphs.external import reader
from lwmport.targets.graphs.record import UNNAMED, Constant, Graph, Node, Shapes, Value, bytes_of, numbered
from lwmport.types import Dim
from lwmport.wire import BYTES, FIXED32, VARINT, Field, Message, mapped, signed

DTYPES: Final = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
}
"""Numbers of DataType -> numpy's names."""

LISTED: Final = {5: "float32", 6: "float64"}
"""float_val and double_val of a TensorProto: as TensorFlow writes a scalar, or one number that fills a tensor."""


def read(path: Path, shapes: Shapes | None = None) -> Graph:
    """Return the graph of a GraphDef file, with the sizes of its placeholders set as given.

    Raises:
        ArtifactError: it is no GraphDef.
    """
    data = mapped(path)
    message = Message(data, 0, len(data))
    constants: dict[str, Constant] = {}
    values: dict[str, Value] = {}
    try:
        nodes = [
            _node(message.inner(field), path, constants, values)
            for field in message
            if field.number == 1 and field.kind == BYTES
        ]
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    if not any(node.op == "Placeholder" for node in nodes):
        raise ArtifactError(f"expected a frozen graph at {path}, found no node that is a Placeholder")
    for name, shape in (shapes or {}).items():
        values[name] = replace(values.get(name, Value(name=name)), shape=shape)
    read_ = {name for node in nodes for name in node.inputs}
    return Graph(
        path=path,
        form="frozen_graph",
        nodes=tuple(nodes),
        inputs=numbered(values[node.name] for node in nodes if node.op == "Placeholder"),
        outputs=tuple(values[node.name] for node in nodes if node.name not in read_),
        values=values,
        constants=constants,
        file_bytes=len(data),
    )


def _node(message: Message, path: Path, constants: dict[str, Constant], values: dict[str, Value]) -> Node:
    texts: dict[int, list[str]] = {1: [], 2: [], 3: []}
    attributes: dict[str, Any] = {}
    for field in message:
        if field.number in texts and field.kind == BYTES:
            texts[field.number].append(message.text(field))
        elif field.number == 5 and field.kind == BYTES:
            attributes |= _attribute(message.inner(field), path)
    name, operator = "".join(texts[1][-1:]), "".join(texts[2][-1:])
    found = attributes.get("value")
    if operator == "Const" and isinstance(found, Constant):
        constants[name] = replace(found, name=name)
        attributes["shape"], attributes["dtype"] = found.shape, found.dtype
    dtype = attributes.get("dtype") or attributes.get("T") or ""
    shape = attributes.get("shape")
    values[name] = Value(
        name=name,
        shape=shape if isinstance(shape, tuple) and operator in {"Placeholder", "Const"} else None,
        dtype=dtype if isinstance(dtype, str) else "",
    )
    return Node(
        name=name,
        op=operator,
        domain="",
        inputs=tuple(text.lstrip("^").partition(":")[0] for text in texts[3]),
        outputs=(name,),
        attributes={key: value for key, value in attributes.items() if not isinstance(value, Constant)},
    )


def _attribute(message: Message, path: Path) -> Mapping[str, Any]:
    name, value = "", None
    for field in message:
        if field.number == 1 and field.kind == BYTES:
            name = message.text(field)
        elif field.number == 2 and field.kind == BYTES:
            value = _value(message.inner(field), path)
    return {name: value}


def _value(message: Message, path: Path) -> Any:
    for field in message:
        if field.kind == VARINT:
            return DTYPES.get(field.value, "") if field.number == 6 else signed(field.value)
        if field.kind == FIXED32:
            return message.float32(field)
        if field.number == 7:
            return _shape(message.inner(field))
        if field.number == 8:
            return _constant(message.inner(field), path)
        if field.number == 2:
            return message.text(field) if field.end - field.start < 1 << 16 else ""
    return None


def _shape(message: Message) -> tuple[Dim, ...] | None:
    dims: list[Dim] = []
    for field in message:
        if field.number == 3 and field.value:
            return None
        if field.number == 2 and field.kind == BYTES:
            sizes = [signed(inner.value) for inner in message.inner(field) if inner.number == 1]
            dims.append(UNNAMED if sizes and sizes[-1] < 0 else (sizes[-1] if sizes else 0))
    return tuple(dims)


def _constant(message: Message, path: Path) -> Constant:
    dtype, shape, content, listed = "", None, None, None
    for field in message:
        if field.number == 1:
            dtype = DTYPES.get(field.value, "")
        elif field.number == 2 and field.kind == BYTES:
            shape = _shape(message.inner(field))
        elif field.number == 4 and field.kind == BYTES:
            content = field
        elif field.kind == BYTES and field.number in LISTED:
            listed = field
    if content is None and listed is not None and dtype == LISTED[listed.number]:
        content = listed
    sizes = tuple(dim for dim in shape or () if isinstance(dim, int))
    return Constant(name="", shape=sizes, dtype=dtype, nbytes=bytes_of(sizes, dtype), **_place(content, path, dtype))


def _place(content: Field | None, path: Path, dtype: str) -> dict[str, Any]:
    if content is None or dtype in {"", "string"}:
        return {}
    return {"blocks": reader(path, content.start, content.end - content.start, dtype)}
