"""A TensorFlow graph as nodes of one level: calls of functions are replaced by what these hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from lwmport.errors import ArtifactError

CALLS: Final = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""Operators that call the function which their attribute ``f`` names, and do nothing else."""

NODES: Final = 1_000_000
"""Nodes that a graph may have once its calls are replaced."""

CALLED: Final = 10_000
"""Calls that it may have: functions that call the next one twice double them each time."""

DEPTH: Final = 64
"""Calls within calls."""

NEIGHBOURS: Final = "_class"
"""The attribute that names nodes to be placed on the same device. A piece need not have them."""


class Flat:
    """Gathers the nodes that some tensors need.

    A node keeps its name. One of a function whose name another node has, has the name of the call in front.

    Attributes:
        nodes: all nodes by name, each behind what it reads; inputs are whole names of tensors (``name:0``).
    """

    def __init__(self, tf: Any, rest: Any) -> None:
        """Start with a GraphDef of functions alone."""
        self._functions = {function.signature.name: function for function in rest.library.function}
        self._known = tf.Graph()
        with self._known.as_default():
            tf.graph_util.import_graph_def(rest, name="")
        self.nodes: dict[str, Any] = {}
        self._own: frozenset[str] = frozenset()
        self._calls = 0

    def add(self, nodes: Sequence[Any], wanted: Sequence[str]) -> list[str]:
        """Take in what some tensors of a graph need, and return what these tensors are called in here.

        Raises:
            ArtifactError: a node reads what there is not, nodes read each other in a circle, or there are too many.
        """
        by_name = {node.name: node for node in nodes}
        self._own = frozenset(node.name for node in in_order(by_name, map(owner, wanted)))
        return self._inlined(nodes, wanted, {}, ())

    def _inlined(
        self, nodes: Iterable[Any], wanted: Sequence[str], arguments: Mapping[str, str], calls: tuple[str, ...]
    ) -> list[str]:
        """Take in what some tensors of a graph or of a function need; ``arguments`` are the function's."""
        if len(calls) > DEPTH:
            raise ArtifactError(f"expected calls at most {DEPTH} deep, found more at {calls[0]}")
        by_name = {node.name: node for node in nodes}
        tensors, names = {f"{name}:0": tensor for name, tensor in arguments.items()}, dict[str, str]()

        def new(tensor: str) -> str:
            node, _, port = whole(tensor).rpartition(":")
            return tensors.get(f"{node}:{port}", f"{names.get(node, node)}:{port}")

        for node in in_order(by_name, [owner(tensor) for tensor in wanted]):
            read = [new(tensor) for tensor in data_inputs(node)]
            if node.op in CALLS:
                found = self._called(node, read, (*calls, node.name))
                tensors |= {f"{node.name}:{place}": tensor for place, tensor in enumerate(found)}
            elif node.name not in arguments:
                names[node.name] = self._taken(node, read, calls)
        return [new(tensor) for tensor in wanted]

    def _taken(self, node: Any, read: Sequence[str], calls: Sequence[str]) -> str:
        """Take a node in, and return the name that it has in here."""
        if len(self.nodes) >= NODES:
            raise ArtifactError(f"expected at most {NODES} nodes once calls are replaced, found more")
        found = type(node)()
        found.CopyFrom(node)
        del found.input[:]
        found.input.extend(read)
        found.device, found.name = "", self._free(node.name, calls)
        found.attr.pop(NEIGHBOURS, None)
        self.nodes[found.name] = found
        return str(found.name)

    def _called(self, node: Any, read: Sequence[str], calls: tuple[str, ...]) -> list[str]:
        """Take in what a call computes, and return what its outputs are called."""
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

        self._calls += 1
        if self._calls > CALLED:
            raise ArtifactError(f"expected at most {CALLED} calls of functions, found more")
        name = node.attr["f"].func.name
        function = self._functions.get(name)
        if function is None:
            raise ArtifactError(f"expected the function {name} that {node.name} calls, found none")
        with self._known.as_default():
            body, flat = function_def_to_graph_def(function)
        arguments = dict(zip((each.name for each in function.signature.input_arg), read, strict=True))
        given = [function.ret[each.name] for each in function.signature.output_arg]
        return self._inlined(body.node, [flat.get(each, each) for each in given], arguments, calls)

    def _free(self, name: str, calls: Sequence[str]) -> str:
        if not calls or (name not in self.nodes and name not in self._own):
            return name
        found = longer = "/".join((*calls, name))
        number = 0
        while found in self.nodes or found in self._own:
            number += 1
            found = f"{longer}_{number}"
        return found


def whole(tensor: str) -> str:
    """Return the name of a tensor with its port, which a GraphDef leaves out where it is 0."""
    return tensor if ":" in tensor else f"{tensor}:0"


def owner(tensor: str) -> str:
    """Return the node that makes a tensor."""
    return tensor.partition(":")[0]


def data_inputs(node: Any) -> list[str]:
    """Return the tensors that a node reads, without the nodes that it waits for (``^name``)."""
    return [tensor for tensor in node.input if not tensor.startswith("^")]


def in_order(nodes: Mapping[str, Any], wanted: Iterable[str]) -> Iterator[Any]:
    """Yield the nodes that some nodes need, each behind what it reads, otherwise in the order of the file.

    Raises:
        ArtifactError: a node reads what there is not, or nodes read each other in a circle (loops of TensorFlow 1).
    """
    needed: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in nodes:
            raise ArtifactError(f"expected the node {name}, which another one reads, found none")
        if name not in needed:
            needed.add(name)
            waiting += map(owner, data_inputs(nodes[name]))
    done: set[str] = set()
    for name in nodes:
        if name in needed:
            yield from _behind(nodes, name, done)


def _behind(nodes: Mapping[str, Any], name: str, done: set[str]) -> Iterator[Any]:
    """Yield a node behind what it reads, without recursion: models are deeper than Python's stack."""
    path: dict[str, Iterator[str]] = {}
    enter: str | None = name
    while enter is not None or path:
        if enter is not None and enter not in done:
            if enter in path:
                raise ArtifactError(f"expected a graph without circles, found one at the node {enter}")
            path[enter] = iter([owner(tensor) for tensor in data_inputs(nodes[enter])])
        if not path:
            return
        last = next(reversed(path))
        enter = next(path[last], None)
        if enter is None:
            del path[last]
            done.add(last)
            yield nodes[last]


def functions_of(nodes: Iterable[Any], library: Iterable[Any]) -> list[Any]:
    """Return the functions that nodes run, those included that these run."""
    by_name = {function.signature.name: function for function in library}
    found: dict[str, Any] = {}
    waiting = [name for node in nodes for name in _named(node)]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found[name] = by_name[name]
            waiting += [other for node in by_name[name].node_def for other in _named(node)]
    return list(found.values())


def _named(node: Any) -> Iterator[str]:
    """Yield the functions that a node names."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for each in value.list.func:
            yield each.name
