"""An ONNX graph under construction: nodes by onnx-ir, weights as promises that are kept while the file is written."""

from collections import ChainMap, Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from lwmport.onnx_dtypes import BITS
from lwmport.quantise.packing import unpacked
from lwmport.types import Array, Dim, TensorSpec

Promised: TypeAlias = Array | Iterable[Array]
"""The values of a constant: as one array, or in pieces, flat and in row-major order, where they need not be whole."""


@dataclass(frozen=True, kw_only=True)
class Initializer:
    """A constant of the graph whose values are produced when they are written. ``source`` is the weight that it is of.

    ``form`` says all that its bytes depend on: in any model of the same checkpoint, one of the same form has the same
    bytes. None if nothing says it that briefly.
    """

    value: ir.Value
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    source: str | None
    produce: Callable[[], Promised]
    form: Hashable = None

    @property
    def name(self) -> str:
        """The unique name in the graph."""
        return str(self.value.name)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return -(-self.count * self.bits // 8)

    @property
    def count(self) -> int:
        """Number of its values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bits(self) -> int:
        """Bits of one value: below 8 a byte holds several."""
        return BITS.get(self.dtype.name, 8 * self.dtype.itemsize)

    @property
    def produced(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """The dtype and the shape of what is produced: of values below 8 bits it is the bytes that hold them."""
        return (np.dtype(np.uint8), (self.nbytes,)) if self.bits < 8 else (self.dtype, self.shape)

    def whole(self) -> Array:
        """Return the values as one array."""
        made, (dtype, shape) = self.produce(), self.produced
        parts = [made] if isinstance(made, np.ndarray | np.generic) else [np.empty(0, dtype), *made]
        array = np.concatenate([np.ravel(part) for part in parts]).reshape(shape)
        return array if self.bits >= 8 else unpacked(array, self.bits, self.count).view(self.dtype).reshape(self.shape)


class GraphBuilder:
    """Collects nodes and initializers with names that are unique, readable and the same every time."""

    def __init__(self, name: str, opset: int) -> None:
        self.name = name
        self.opset = opset
        self.nodes: list[ir.Node] = []
        self._ahead: list[ir.Node] = []
        self._made_ahead: dict[Any, list[ir.Value]] = {}
        self._made: ChainMap[Any, list[ir.Value]] = ChainMap({}, self._made_ahead)
        self.initializers: dict[str, Initializer] = {}
        self.functions: dict[str, ir.Function] = {}
        self.metadata: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.scope = ""
        self._names: Counter[str] = Counter()
        self._shared: dict[Any, ir.Value] = {}

    def input(self, spec: TensorSpec) -> ir.Value:
        """Return a graph input for a tensor of the signature."""
        return self.value(self.unique(spec.name), spec.shape, np.dtype(spec.dtype))

    def node(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        shape: Sequence[Dim],
        dtype: Any,
        attributes: Mapping[str, Any] | None = None,
        domain: str = "",
    ) -> ir.Value:
        """Append a node with one output of the given shape and dtype, and return that output."""
        return self.nodes_of(op, inputs, [(shape, dtype)], attributes, domain)[0]

    def nodes_of(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        results: Sequence[tuple[Sequence[Dim], Any]],
        attributes: Mapping[str, Any] | None = None,
        domain: str = "",
    ) -> list[ir.Value]:
        """Append a node with an output for each shape and dtype, and return those; what was made before is shared."""
        key = _key_of(op, inputs, attributes or {}, domain)
        if key not in self._made:
            self._made[key] = self._appended(op, inputs, results, attributes, domain)
        return self._made[key]

    def _appended(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        results: Sequence[tuple[Sequence[Dim], Any]],
        attributes: Mapping[str, Any] | None,
        domain: str,
    ) -> list[ir.Value]:
        name = self.unique(f"{self.scope}/{op}" if self.scope else op)
        outputs = [self.value(f"{name}:{i}", shape, np.dtype(dtype)) for i, (shape, dtype) in enumerate(results)]
        node = ir.node(op, inputs, attributes=dict(attributes or {}), domain=domain, outputs=outputs, name=name)
        self.nodes.append(node)
        return outputs

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Put the nodes of this block ahead of all others, where every loop and branch can see their outputs."""
        current, self.nodes, self._made = (self.nodes, self._made), self._ahead, ChainMap(self._made_ahead)
        try:
            yield
        finally:
            self.nodes, self._made = current

    @contextmanager
    def body(self) -> Iterator[list[ir.Node]]:
        """Collect the nodes of this block in a list of their own: the body of a loop or a branch."""
        current, self.nodes, self._made = (self.nodes, self._made), [], self._made.new_child()
        try:
            yield self.nodes
        finally:
            self.nodes, self._made = current

    def subgraph(self, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value], nodes: list[ir.Node]) -> ir.Graph:
        """Return a body as a graph, without what nobody reads."""
        name = self.unique("body")
        return ir.Graph(inputs, outputs, nodes=live(nodes, outputs), opset_imports={"": self.opset}, name=name)

    def finish(self, outputs: Sequence[ir.Value]) -> None:
        """Bring all nodes into one list, and leave out nodes and constants that nobody reads."""
        self.nodes = live([*self._ahead, *self.nodes], outputs)
        read = {value for node in self.nodes for value in reads(node)} | set(outputs)
        self.initializers = {name: item for name, item in self.initializers.items() if item.value in read}

    def function(self, function: ir.Function) -> ir.Function:
        """Carry a function in the model, once, and return the one that is carried.

        Its values get names that neither the model nor another function has: readers that inline functions or fold
        constants (onnxsim) take two values of one name for the same one.
        """
        if function.name not in self.functions:
            self.functions[function.name] = self._with_names_of_its_own(function)
        return self.functions[function.name]

    def _with_names_of_its_own(self, function: ir.Function) -> ir.Function:
        for value in (*function.inputs, *(output for node in function.all_nodes() for output in node.outputs)):
            value.name = self.unique(f"{function.name}/{value.name}")
        return function

    def constant(self, array: Array, name: str = "") -> ir.Value:
        """Return a constant that comes from no weight, shared by all who ask for an equal one."""
        array = np.asarray(array, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._shared:
            name = name or ("shape" if array.dtype == np.int64 and array.ndim == 1 else "constant")
            self._shared[key] = self.initializer(name, array.shape, array.dtype, lambda: array)
        return self._shared[key]

    def initializer(
        self,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        produce: Callable[[], Promised],
        source: str | None = None,
        form: Hashable = None,
    ) -> ir.Value:
        """Return a constant whose values are produced when the model is written."""
        value = self.value(self.unique(name), shape, dtype)
        self.initializers[str(value.name)] = Initializer(
            value=value, shape=tuple(shape), dtype=dtype, source=source, produce=produce, form=form
        )
        return value

    def value(self, name: str, shape: Sequence[Dim], dtype: np.dtype[Any]) -> ir.Value:
        """Return a typed value that belongs to no node yet."""
        return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.from_numpy(dtype)))

    def unique(self, name: str) -> str:
        """Return the name, with a number behind it from the second time on."""
        self._names[name] += 1
        count = self._names[name]
        return name if count == 1 else self.unique(f"{name}_{count - 1}")

    def operators(self) -> dict[str, int]:
        """Return how many nodes there are of each operator, most frequent first, those in bodies included."""
        counts = Counter(node.op_type if not node.domain else f"{node.domain}.{node.op_type}" for node in self.every())
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def every(self) -> Iterator[ir.Node]:
        """Yield every node, those in the bodies of loops and branches included."""
        for node in self.nodes:
            yield node
            for body in bodies(node):
                yield from body.all_nodes()


def _key_of(op: str, inputs: Sequence[ir.Value | None], attributes: Mapping[str, Any], domain: str) -> Any:
    """Return what two nodes that compute the same have in common; no two Identity nodes are the same."""
    if op == "Identity" or any(isinstance(value, ir.Graph) for value in attributes.values()):
        return object()
    return op, domain, tuple(inputs), tuple(sorted((name, repr(value)) for name, value in attributes.items()))


def bodies(node: ir.Node) -> list[ir.Graph]:
    """Return the graphs that a node holds."""
    return [attribute.as_graph() for attribute in node.attributes.values() if attribute.type == ir.AttributeType.GRAPH]


def reads(node: ir.Node) -> set[ir.Value]:
    """Return the values that a node reads, those that its bodies read from around it included."""
    found = {value for value in node.inputs if value is not None}
    for body in bodies(node):
        found.update(body.outputs, *(reads(inner) for inner in body))
    return found


def live(nodes: Sequence[ir.Node], outputs: Sequence[ir.Value]) -> list[ir.Node]:
    """Return the nodes that the outputs need, in order."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(reads(node))
    return kept[::-1]
