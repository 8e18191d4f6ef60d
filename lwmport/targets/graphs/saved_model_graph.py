"""Reading the graph of a SavedModel: what its signature runs, with calls inlined, without TensorFlow and its variables.

Source: tensorflow/core/framework/{graph,function,op_def,node_def,attr_value}.proto.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lwmport.errors import ArtifactError
from lwmport.targets.graphs.graphdef_file import DTYPES
from lwmport.targets.graphs.record import UNNAMED, Constant, Graph, Node, Value, bytes_of, numbered
from lwmport.targets.graphs.saved_model import FILE, read_saved_model
from lwmport.types import Dim
from lwmport.wire import BYTES, Field, Message, mapped, signed

CALLS: Final = frozenset({"PartitionedCall", "StatefulPartitionedCall", "StatelessPartitionedCall"})
HANDED_ON: Final = frozenset({"Identity", "ReadVariableOp"})
"""Operators whose result is their first operand."""

SERVED: Final = "serving_default"
"""The signature that is meant where there are several (tensorflow/python/saved_model/signature_constants.py)."""

DEEPEST: Final = 32
"""Calls within each other."""

NODES: Final = 600_000
"""Nodes with all calls inlined."""


@dataclass(frozen=True, kw_only=True)
class _Node:
    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Function:
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    nodes: tuple[_Node, ...]
    returned: Mapping[str, str]


def read_saved_model_graph(folder: Path) -> Graph:
    """Return the graph that the usual signature of a SavedModel runs; variables are its constants, left where they are.

    Raises:
        ArtifactError: it is no SavedModel, calls itself, or has no signature.
    """
    called = read_saved_model(folder).signatures
    path = folder / FILE
    data = mapped(path)
    try:
        return _graph(_Parsed(Message(data, 0, len(data))), dict(called), path)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


class _Parsed:
    """The first graph of a SavedModel: nodes, functions by name, and where a signature finds its tensors."""

    def __init__(self, message: Message) -> None:
        self.nodes: tuple[_Node, ...] = ()
        self.functions: dict[str, _Function] = {}
        self.places: dict[str, dict[int, dict[str, str]]] = {}
        graph = next((message.inner(item) for item in _fields(message) if item.number == 2), None)
        for item in _fields(graph) if graph is not None else ():
            if graph is not None and item.number == 2:
                self._read_graph(graph.inner(item))
            elif graph is not None and item.number == 5:
                self._read_signature(graph.inner(item))

    def _read_graph(self, graph: Message) -> None:
        self.nodes = tuple(_node(graph.inner(item)) for item in _fields(graph) if item.number == 1)
        for item in _fields(graph):
            if item.number == 2:
                library = graph.inner(item)
                for one in _fields(library):
                    if one.number == 1:
                        name, function = _function(library.inner(one))
                        self.functions[name] = function

    def _read_signature(self, entry: Message) -> None:
        name = "".join(entry.text(item) for item in _fields(entry) if item.number == 1)
        found: dict[int, dict[str, str]] = {1: {}, 2: {}}
        for item in _fields(entry):
            if item.number == 2:
                signature = entry.inner(item)
                for one in _fields(signature):
                    if one.number in found:
                        found[one.number].update(_tensor_name(signature.inner(one)))
        self.places[name] = found


@dataclass(kw_only=True)
class _Flat:
    """What has been inlined so far."""

    functions: Mapping[str, _Function]
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)

    def inline(self, nodes: tuple[_Node, ...], bound: dict[str, str], prefix: str, depth: int) -> None:
        """Add some nodes; ``bound`` maps their references to values, and gets those of their results."""
        for node in nodes:
            inputs = tuple(bound.get(name, bound.get(_plain(name), _plain(name))) for name in _data(node.inputs))
            if node.op in CALLS and (callee := self.functions.get(str(node.attributes.get("f", "")))):
                self._call(node, callee, inputs, (bound, prefix, depth))
            elif node.op == "VarHandleOp":
                bound[node.name] = self._variable(node)
            elif node.op in HANDED_ON and inputs:
                bound[node.name] = inputs[0]
            else:
                bound[node.name] = self._add(node, inputs, prefix)

    def _call(
        self, node: _Node, callee: _Function, inputs: tuple[str, ...], outer: tuple[dict[str, str], str, int]
    ) -> None:
        bound, prefix, depth = outer
        if depth >= DEEPEST:
            raise ArtifactError(f"expected functions that call others only, found more than {DEEPEST} calls deep")
        inner = dict(zip(callee.arguments, inputs, strict=False))
        self.inline(callee.nodes, inner, f"{prefix}{node.name}>", depth + 1)
        for number, name in enumerate(callee.results):
            reference = callee.returned.get(name, "")
            value = inner.get(reference, inner.get(_plain(reference), _plain(reference)))
            bound[f"{node.name}:output:{number}"] = bound[f"{node.name}:{number}"] = value
            if number == 0:
                bound[node.name] = value

    def _variable(self, node: _Node) -> str:
        name = str(node.attributes.get("shared_name") or node.name)
        shape = tuple(dim for dim in node.attributes.get("shape") or () if isinstance(dim, int))
        dtype = str(node.attributes.get("dtype", ""))
        self.constants[name] = Constant(name=name, shape=shape, dtype=dtype, nbytes=bytes_of(shape, dtype))
        self.values[name] = Value(name=name, shape=shape, dtype=dtype)
        return name

    def _add(self, node: _Node, inputs: tuple[str, ...], prefix: str) -> str:
        if len(self.nodes) >= NODES:
            raise ArtifactError(f"expected at most {NODES:,} nodes with calls inlined, found more")
        name = f"{prefix}{node.name}"
        shapes = node.attributes.get("_output_shapes") or (node.attributes.get("shape"),)
        dtype = node.attributes.get("dtype") or node.attributes.get("T") or ""
        self.values[name] = Value(name=name, shape=shapes[0], dtype=str(dtype))
        self.nodes.append(
            Node(name=node.name, op=node.op, domain="", inputs=inputs, outputs=(name,), attributes=node.attributes)
        )
        return name


def _graph(parsed: _Parsed, called: dict[str, Any], path: Path) -> Graph:
    name = SERVED if SERVED in called else next(iter(called), "")
    if not name or name not in parsed.places:
        raise ArtifactError("expected a signature, found none that can be called")
    places = parsed.places[name]
    flat, bound = _Flat(functions=parsed.functions), dict[str, str]()
    flat.inline(_needed(parsed.nodes, places[2].values()), bound, "", 0)
    signature = called[name]
    inputs, public = [], {}
    for value in signature.inputs:
        node = _plain(places[1].get(value.name, value.name))
        public[node] = value.name
        inputs.append(Value(name=node, shape=value.shape, dtype=value.dtype))
    outputs = []
    for value in signature.outputs:
        reference = places[2].get(value.name, value.name)
        made = bound.get(reference, bound.get(_plain(reference), reference))
        public.setdefault(made, value.name)
        outputs.append(Value(name=made, shape=value.shape, dtype=value.dtype))
    flat.values.update({value.name: value for value in (*inputs, *outputs)})
    return Graph(
        path=path.parent,
        form="saved_model",
        nodes=tuple(flat.nodes),
        inputs=numbered(inputs),
        outputs=tuple(outputs),
        values=flat.values,
        constants=flat.constants,
        file_bytes=path.stat().st_size,
        public=public,
    )


def _needed(nodes: tuple[_Node, ...], ends: Any) -> tuple[_Node, ...]:
    """Return the nodes that some references depend on, in an order in which they can run."""
    by_name = {node.name: node for node in nodes}
    done: dict[str, None] = {}
    waiting = [_plain(end) for end in ends]
    open_: set[str] = set()
    while waiting:
        name = waiting[-1]
        node = by_name.get(name)
        if node is None or name in done:
            waiting.pop()
            continue
        missing = [one for one in map(_plain, _data(node.inputs)) if one in by_name and one not in done]
        if not missing or name in open_:
            done[name] = None
            waiting.pop()
            continue
        open_.add(name)
        waiting.extend(missing)
    return tuple(by_name[name] for name in done)


def _function(message: Message) -> tuple[str, _Function]:
    name, arguments, results = "", list[str](), list[str]()
    nodes, returned = list[_Node](), dict[str, str]()
    for item in _fields(message):
        inner = message.inner(item)
        if item.number == 1:
            for one in _fields(inner):
                if one.number == 1:
                    name = inner.text(one)
                elif one.number in (2, 3):
                    argument = inner.inner(one)
                    text = "".join(argument.text(part) for part in _fields(argument) if part.number == 1)
                    (arguments if one.number == 2 else results).append(text)
        elif item.number == 3:
            nodes.append(_node(inner))
        elif item.number == 4:
            texts = {one.number: inner.text(one) for one in _fields(inner)}
            returned[texts.get(1, "")] = texts.get(2, "")
    return name, _Function(
        arguments=tuple(arguments), results=tuple(results), nodes=_in_order(tuple(nodes)), returned=returned
    )


def _in_order(nodes: tuple[_Node, ...]) -> tuple[_Node, ...]:
    """Return the nodes as they are where each comes behind what it reads, else in an order in which they can run."""
    left = {node.name for node in nodes}
    for node in nodes:
        if any(_plain(name) in left for name in node.inputs):
            return _needed(nodes, [node.name for node in nodes])
        left.discard(node.name)
    return nodes


def _node(message: Message) -> _Node:
    texts: dict[int, list[str]] = {1: [], 2: [], 3: []}
    attributes: dict[str, Any] = {}
    for item in _fields(message):
        if item.number in texts:
            texts[item.number].append(message.text(item))
        elif item.number == 5:
            entry = message.inner(item)
            key = "".join(entry.text(one) for one in _fields(entry) if one.number == 1)
            value = next((entry.inner(one) for one in _fields(entry) if one.number == 2), None)
            attributes[key] = None if value is None else _value(value)
    return _Node(name="".join(texts[1][-1:]), op="".join(texts[2][-1:]), inputs=tuple(texts[3]), attributes=attributes)


def _value(message: Message) -> Any:
    """Return an attribute that is read: a text, a number, a dtype, a shape, shapes, or the name of a function."""
    for item in message:
        if item.kind != BYTES:
            return DTYPES.get(item.value, "") if item.number == 6 else signed(item.value)
        if item.number == 1:
            inner = message.inner(item)
            return tuple(_shape(inner.inner(one)) for one in _fields(inner) if one.number == 7)
        if item.number == 2:
            return message.text(item) if item.end - item.start < 1 << 16 else ""
        if item.number == 7:
            return _shape(message.inner(item))
        if item.number == 10:
            inner = message.inner(item)
            return "".join(inner.text(one) for one in _fields(inner) if one.number == 1)
    return None


def _shape(message: Message) -> tuple[Dim, ...] | None:
    dims: list[Dim] = []
    for item in message:
        if item.number == 3 and item.value:
            return None
        if item.number == 2 and item.kind == BYTES:
            size = next((signed(one.value) for one in message.inner(item) if one.number == 1), 0)
            dims.append(UNNAMED if size < 0 else size)
    return tuple(dims)


def _tensor_name(entry: Message) -> dict[str, str]:
    """Return the key of a signature's entry -> where its tensor is: ``node:index``."""
    key = "".join(entry.text(item) for item in _fields(entry) if item.number == 1)
    for item in _fields(entry):
        if item.number == 2:
            info = entry.inner(item)
            return {key: "".join(info.text(one) for one in _fields(info) if one.number == 1)}
    return {}


def _data(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name[:1] != "^")


def _plain(reference: str) -> str:
    return reference.lstrip("^").partition(":")[0]


def _fields(message: Message) -> Iterator[Field]:
    return (item for item in message if item.kind == BYTES)
