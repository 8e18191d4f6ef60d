"""A model while it is mended: its skeleton, and what was done to it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx

from lwmport.targets.graphs.inference import settle
from lwmport.targets.graphs.one_node import NEWEST
from lwmport.targets.graphs.onnx_file import array_of, graph_of, load, with_shapes
from lwmport.targets.graphs.record import Graph, Shapes
from lwmport.types import Array

Rewrite: TypeAlias = "Callable[[Draft, onnx.GraphProto, onnx.NodeProto], Sequence[onnx.NodeProto] | None]"
"""Returns what stands in place of a node, None to leave it."""


class Draft:
    """A skeleton that is being mended. ``notes`` say what was done, ``limits`` to what large constants are clipped.

    ``at`` is the node that a pass looked at last.
    """

    def __init__(self, path: Path, shapes: Shapes | None = None) -> None:
        self.path = path
        self.model = with_shapes(load(path), shapes or {})
        drop_given_inputs(self.model.graph)
        self.notes: list[str] = []
        self.limits: dict[str, float] = {}
        self.at: onnx.NodeProto | None = None
        self._taken: set[str] = set()
        self._settled: tuple[Graph, dict[str, Array]] | None = None

    @property
    def graph(self) -> Graph:
        """The model as rules see it, with inferred shapes, as it stands now."""
        return self._settle()[0]

    @property
    def values(self) -> dict[str, Array]:
        """What nodes of the main graph make of constants, as far as it is small."""
        return self._settle()[1]

    def _settle(self) -> tuple[Graph, dict[str, Array]]:
        if self._settled is None:
            typed, values = settle(self.model)
            self._settled = graph_of(typed, self.path), values
        return self._settled

    @property
    def opset(self) -> int:
        """The version of the default domain."""
        found = next((item.version for item in self.model.opset_import if item.domain in {"", "ai.onnx"}), 0)
        return min(max(int(found), 0), NEWEST)

    def changed(self, note: str = "") -> None:
        """Forget what was inferred, and write down why."""
        self._settled = None
        self._taken = set()
        if note:
            self.notes.append(note)

    def bodies(self) -> Iterator[onnx.GraphProto]:
        """Yield the main graph and every body within."""
        waiting = [self.model.graph]
        while waiting:
            graph = waiting.pop()
            yield graph
            for node in graph.node:
                for item in node.attribute:
                    waiting.extend(item.graphs)
                    waiting.extend([item.g] if item.HasField("g") else [])

    def rewrite(self, rule: Rewrite) -> int:
        """Put what a rule returns in place of every node, and return how many changed.

        Bodies come before the nodes that hold them, for those are copied with what they hold.
        """
        count = 0
        for graph in reversed(list(self.bodies())):
            nodes: list[onnx.NodeProto] = []
            for node in graph.node:
                self.at = node
                found = rule(self, graph, node)
                count += found is not None
                nodes.extend([node] if found is None else found)
            copies = [_copied(node) for node in nodes]
            del graph.node[:]
            graph.node.extend(copies)
        self.at = None
        if count:
            self.changed()
        return count

    def constant(self, name: str) -> Array | None:
        """Return the value of a small constant, None for anything else."""
        return self.graph.constant(name)

    def new_constant(self, graph: onnx.GraphProto, array: Any, hint: str) -> str:
        """Add an initializer and return its name."""
        name = self.fresh(hint)
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def fresh(self, hint: str) -> str:
        """Return a name that no value or node has yet."""
        if not self._taken:
            for graph in self.bodies():
                self._taken |= {value.name for value in (*graph.input, *graph.output)}
                self._taken |= {tensor.name for tensor in graph.initializer}
                for node in graph.node:
                    self._taken |= {node.name, *node.output}
        name, count = hint, 1
        while name in self._taken:
            name, count = f"{hint}_{count}", count + 1
        self._taken.add(name)
        return name


def drop_given_inputs(graph: onnx.GraphProto) -> None:
    """Drop inputs that an initializer gives: IR version 3 lists all initializers as inputs."""
    given = {tensor.name for tensor in graph.initializer}
    for place in reversed(range(len(graph.input))):
        if graph.input[place].name in given:
            del graph.input[place]


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of an attribute; texts are decoded."""
    for item in node.attribute:
        if item.name == name:
            value = onnx.helper.get_attribute_value(item)
            if isinstance(value, onnx.TensorProto):
                return array_of(value)
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return default


def without(node: onnx.NodeProto, *names: str) -> onnx.NodeProto:
    """Return a copy of a node without some attributes."""
    copy = _copied(node)
    kept = [item for item in copy.attribute if item.name not in names]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    return copy


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
