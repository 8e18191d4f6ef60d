"""The nodes and functions of a SavedModel's first graph, as its file says them.

Source: tensorflow/core/framework/{graph,function,op_def,node_def,attr_value}.proto.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lwmport.targets.graphs.graphdef_file import DTYPES
from lwmport.targets.graphs.record import UNNAMED
from lwmport.types import Dim
from lwmport.wire import BYTES, Field, Message, signed


@dataclass(frozen=True, kw_only=True)
class TfNode:
    """A node: inputs are references, ``node:output:index`` in a function, those that only order it begin with ``^``."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TfFunction:
    """A function: names of arguments and results, nodes in an order that runs, result -> reference to its value."""

    arguments: tuple[str, ...]
    results: tuple[str, ...]
    nodes: tuple[TfNode, ...]
    returned: Mapping[str, str]


class TfGraph:
    """The first graph of a SavedModel: nodes, functions by name, and where a signature finds its tensors."""

    def __init__(self, message: Message) -> None:
        self.nodes: tuple[TfNode, ...] = ()
        self.functions: dict[str, TfFunction] = {}
        self.places: dict[str, dict[int, dict[str, str]]] = {}
        graph = next((message.inner(item) for item in _fields(message) if item.number == 2), None)
        if graph is None:
            return
        for item in _fields(graph):
            if item.number == 2:
                self._read_graph(graph.inner(item))
            elif item.number == 5:
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


def needed(nodes: tuple[TfNode, ...], ends: Iterable[str]) -> tuple[TfNode, ...]:
    """Return the nodes that some references depend on, in an order in which they can run."""
    by_name = {node.name: node for node in nodes}
    done: dict[str, None] = {}
    waiting = [plain(end) for end in ends]
    open_: set[str] = set()
    while waiting:
        name = waiting[-1]
        node = by_name.get(name)
        if node is None or name in done:
            waiting.pop()
            continue
        missing = [one for one in map(plain, data_of(node.inputs)) if one in by_name and one not in done]
        if not missing or name in open_:
            done[name] = None
            waiting.pop()
            continue
        open_.add(name)
        waiting.extend(missing)
    return tuple(by_name[name] for name in done)


def _function(message: Message) -> tuple[str, TfFunction]:
    name, arguments, results = "", list[str](), list[str]()
    nodes, returned = list[TfNode](), dict[str, str]()
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
    return name, TfFunction(
        arguments=tuple(arguments), results=tuple(results), nodes=_in_order(tuple(nodes)), returned=returned
    )


def _in_order(nodes: tuple[TfNode, ...]) -> tuple[TfNode, ...]:
    """Return the nodes as they are where each comes behind what it reads, else in an order in which they can run."""
    left = {node.name for node in nodes}
    for node in nodes:
        if any(plain(name) in left for name in node.inputs):
            return needed(nodes, [node.name for node in nodes])
        left.discard(node.name)
    return nodes


def _node(message: Message) -> TfNode:
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
    return TfNode(name="".join(texts[1][-1:]), op="".join(texts[2][-1:]), inputs=tuple(texts[3]), attributes=attributes)


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


def data_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the inputs of a node that are values, without those that only order it."""
    return tuple(name for name in names if name[:1] != "^")


def plain(reference: str) -> str:
    """Return the node that a reference is to."""
    return reference.lstrip("^").partition(":")[0]


def _fields(message: Message) -> Iterator[Field]:
    return (item for item in message if item.kind == BYTES)
