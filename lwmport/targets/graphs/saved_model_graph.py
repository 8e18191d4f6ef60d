"""Reading the graph of a SavedModel: what its signature runs, with calls inlined, without TensorFlow and its variables.

Source: tensorflow/core/framework/{graph,function,op_def,node_def,attr_value}.proto.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lwmport.errors import ArtifactError
from lwmport.targets.graphs.record import Constant, Graph, Node, Value, bytes_of, numbered
from lwmport.targets.graphs.saved_model import FILE, read_saved_model
from lwmport.targets.graphs.saved_model_nodes import TfFunction, TfGraph, TfNode, data_of, needed, plain
from lwmport.wire import Message, mapped

CALLS: Final = frozenset({"PartitionedCall", "StatefulPartitionedCall", "StatelessPartitionedCall"})
HANDED_ON: Final = frozenset({"Identity", "ReadVariableOp"})
"""Operators whose result is their first operand."""

SERVED: Final = "serving_default"
"""The signature that is meant where there are several (tensorflow/python/saved_model/signature_constants.py)."""

DEEPEST: Final = 32
"""Calls within each other."""

NODES: Final = 600_000
"""Nodes with all calls inlined."""


def read_saved_model_graph(folder: Path) -> Graph:
    """Return the graph that the usual signature of a SavedModel runs; variables are its constants, left where they are.

    Raises:
        ArtifactError: it is no SavedModel, calls itself, or has no signature.
    """
    called = read_saved_model(folder).signatures
    path = folder / FILE
    data = mapped(path)
    try:
        return _graph(TfGraph(Message(data, 0, len(data))), dict(called), path)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


@dataclass(kw_only=True)
class _Flat:
    """What has been inlined so far."""

    functions: Mapping[str, TfFunction]
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)

    def inline(self, nodes: tuple[TfNode, ...], bound: dict[str, str], prefix: str, depth: int) -> None:
        """Add some nodes; ``bound`` maps their references to values, and gets those of their results."""
        for node in nodes:
            inputs = tuple(bound.get(name, bound.get(plain(name), plain(name))) for name in data_of(node.inputs))
            if node.op in CALLS and (callee := self.functions.get(str(node.attributes.get("f", "")))):
                self._call(node, callee, inputs, (bound, prefix, depth))
            elif node.op == "VarHandleOp":
                bound[node.name] = self._variable(node)
            elif node.op in HANDED_ON and inputs:
                bound[node.name] = inputs[0]
            else:
                bound[node.name] = self._add(node, inputs, prefix)

    def _call(
        self, node: TfNode, callee: TfFunction, inputs: tuple[str, ...], outer: tuple[dict[str, str], str, int]
    ) -> None:
        bound, prefix, depth = outer
        if depth >= DEEPEST:
            raise ArtifactError(f"expected functions that call others only, found more than {DEEPEST} calls deep")
        inner = dict(zip(callee.arguments, inputs, strict=False))
        self.inline(callee.nodes, inner, f"{prefix}{node.name}>", depth + 1)
        for number, name in enumerate(callee.results):
            reference = callee.returned.get(name, "")
            value = inner.get(reference, inner.get(plain(reference), plain(reference)))
            bound[f"{node.name}:output:{number}"] = bound[f"{node.name}:{number}"] = value
            if number == 0:
                bound[node.name] = value

    def _variable(self, node: TfNode) -> str:
        name = str(node.attributes.get("shared_name") or node.name)
        shape = tuple(dim for dim in node.attributes.get("shape") or () if isinstance(dim, int))
        dtype = str(node.attributes.get("dtype", ""))
        self.constants[name] = Constant(name=name, shape=shape, dtype=dtype, nbytes=bytes_of(shape, dtype))
        self.values[name] = Value(name=name, shape=shape, dtype=dtype)
        return name

    def _add(self, node: TfNode, inputs: tuple[str, ...], prefix: str) -> str:
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


def _graph(parsed: TfGraph, called: dict[str, Any], path: Path) -> Graph:
    name = SERVED if SERVED in called else next(iter(called), "")
    if not name or name not in parsed.places:
        raise ArtifactError("expected a signature, found none that can be called")
    places = parsed.places[name]
    flat, bound = _Flat(functions=parsed.functions), dict[str, str]()
    flat.inline(needed(parsed.nodes, places[2].values()), bound, "", 0)
    signature = called[name]
    inputs, public = [], {}
    for value in signature.inputs:
        node = plain(places[1].get(value.name, value.name))
        public[node] = value.name
        inputs.append(Value(name=node, shape=value.shape, dtype=value.dtype))
    outputs = []
    for value in signature.outputs:
        reference = places[2].get(value.name, value.name)
        made = bound.get(reference, bound.get(plain(reference), reference))
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
