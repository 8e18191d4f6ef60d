"""An ONNX graph under construction: nodes by onnx-ir, weights as promises that are kept while the file is written."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from lwmport.types import Array, Dim, TensorSpec

Promised: TypeAlias = Array | Iterable[Array]
"""The values of a constant: as one array, or in pieces, flat and in row-major order, where they need not be whole."""


@dataclass(frozen=True, kw_only=True)
class Initializer:
    """A constant of the graph whose values are produced when they are written. ``source`` is the checkpoint name."""

    value: ir.Value
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    source: str | None
    produce: Callable[[], Promised]

    @property
    def name(self) -> str:
        """The unique name in the graph."""
        return str(self.value.name)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class GraphBuilder:
    """Collects nodes and initializers with names that are unique, readable and the same every time."""

    def __init__(self, name: str, opset: int) -> None:
        self.name = name
        self.opset = opset
        self.nodes: list[ir.Node] = []
        self.initializers: dict[str, Initializer] = {}
        self.functions: dict[str, ir.Function] = {}
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
        name = self.unique(f"{self.scope}/{op}" if self.scope else op)
        output = self.value(f"{name}:0", shape, np.dtype(dtype))
        node = ir.node(op, inputs, attributes=dict(attributes or {}), domain=domain, outputs=[output], name=name)
        self.nodes.append(node)
        return output

    def function(self, function: ir.Function) -> ir.Function:
        """Carry a function in the model, once, and return the one that is carried."""
        return self.functions.setdefault(function.name, function)

    def constant(self, array: Array, name: str = "") -> ir.Value:
        """Return a constant that comes from no weight, shared by all who ask for an equal one."""
        array = np.asarray(array)
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
    ) -> ir.Value:
        """Return a constant whose values are produced when the model is written."""
        value = self.value(self.unique(name), shape, dtype)
        self.initializers[str(value.name)] = Initializer(
            value=value, shape=tuple(shape), dtype=dtype, source=source, produce=produce
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
        """Return how many nodes there are of each operator, most frequent first."""
        counts = Counter(node.op_type if not node.domain else f"{node.domain}.{node.op_type}" for node in self.nodes)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
