"""What a TensorFlow SavedModel says of itself: signatures, operators and version, without TensorFlow and its variables.

Source: tensorflow/core/protobuf/{saved_model,meta_graph}.proto, tensorflow/core/framework/{graph,function}.proto.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.instead import in_place_of
from lwmport.targets.graphs.graphdef_file import DTYPES
from lwmport.targets.graphs.record import UNNAMED, Value
from lwmport.wire import BYTES, Field, Message, mapped, signed

FILE: Final = "saved_model.pb"
INITIAL: Final = "__saved_model_init_op"
"""The signature that starts a model, and that nobody calls."""


@dataclass(frozen=True, kw_only=True)
class Called:
    """One signature: its inputs and its outputs, by the names that callers give."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """The first graph of a SavedModel: its tags, the version of TensorFlow that wrote it, signatures and operators."""

    tags: tuple[str, ...]
    version: str
    signatures: Mapping[str, Called]
    operators: Mapping[str, int]


def read_saved_model(folder: Path) -> SavedModel:
    """Return what the file ``saved_model.pb`` of a folder says; no variable is read.

    Raises:
        ArtifactError: it is no SavedModel.
    """
    path = folder / FILE
    placeholder = in_place_of(path)
    if placeholder:
        raise ArtifactError(f"{path}: expected a SavedModel, found {placeholder}")
    data = mapped(path)
    try:
        graph = next(_messages(Message(data, 0, len(data)), 2), None)
        found = None if graph is None else _read(graph)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    if found is None:
        raise ArtifactError(f"{path}: expected a SavedModel, found no graph in it")
    return found


def _read(graph: Message) -> SavedModel:
    tags, version, operators, signatures = [], "", Counter[str](), {}
    for field in _fields(graph):
        if field.number == 1:
            for item in _fields(graph.inner(field)):
                tags += [graph.text(item)] if item.number == 4 else []
                version = graph.text(item) if item.number == 5 else version
        elif field.number == 2:
            operators.update(_operators(graph.inner(field)))
        elif field.number == 5:
            name, value = _pair(graph.inner(field))
            if name != INITIAL and value is not None:
                signatures[name] = _signature(value)
    return SavedModel(
        tags=tuple(tags), version=version, signatures=dict(sorted(signatures.items())), operators=dict(operators)
    )


def _operators(graph: Message) -> Iterator[str]:
    """Yield the operator of every node: those of the graph, and those of the functions in its library."""
    for field in _fields(graph):
        if field.number == 1:
            yield from _operator(graph.inner(field))
        elif field.number == 2:
            for function in _messages(graph.inner(field), 1):
                for node in _messages(function, 3):
                    yield from _operator(node)


def _operator(node: Message) -> Iterator[str]:
    return (node.text(field) for field in _fields(node) if field.number == 2)


def _signature(signature: Message) -> Called:
    found: dict[int, list[Value]] = {1: [], 2: []}
    for field in _fields(signature):
        if field.number in found:
            name, tensor = _pair(signature.inner(field))
            if tensor is not None:
                found[field.number].append(_value(name, tensor))
    inputs, outputs = (tuple(sorted(values, key=lambda value: value.name)) for values in found.values())
    return Called(inputs=inputs, outputs=outputs)


def _value(name: str, tensor: Message) -> Value:
    dtype, shape = "", None
    for field in tensor:
        if field.number == 2 and field.kind != BYTES:
            dtype = DTYPES.get(field.value, "")
        elif field.number == 3 and field.kind == BYTES:
            shape = _shape(tensor.inner(field))
    return Value(name=name, shape=shape, dtype=dtype)


def _shape(message: Message) -> tuple[int | str, ...] | None:
    dims: list[int | str] = []
    for field in message:
        if field.number == 3 and field.value:
            return None
        if field.number == 2 and field.kind == BYTES:
            size = next((signed(inner.value) for inner in message.inner(field) if inner.number == 1), 0)
            dims.append(UNNAMED if size < 0 else size)
    return tuple(dims)


def _pair(message: Message) -> tuple[str, Message | None]:
    """Return key and value of an entry of a map."""
    name, value = "", None
    for field in _fields(message):
        if field.number == 1:
            name = message.text(field)
        elif field.number == 2:
            value = message.inner(field)
    return name, value


def _messages(message: Message, number: int) -> Iterator[Message]:
    return (message.inner(field) for field in _fields(message) if field.number == number)


def _fields(message: Message) -> Iterator[Field]:
    return (field for field in message if field.kind == BYTES)
