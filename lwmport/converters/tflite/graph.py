"""A TFLite graph under construction: operators by name, weights as promises that are kept while the file is written."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.converters.tflite.half import computed
from lwmport.converters.tflite.kernels import BITS, check_operator, check_tensor
from lwmport.converters.tflite.sizes import static_shape
from lwmport.types import Array, Dim, Levels

Produced: TypeAlias = Array | Iterator[Array]
"""The values of a constant, or its bytes in the file's own order, in parts."""

MOVERS: Final = frozenset({"CONCATENATION", "PAD", "RESHAPE"})
"""Operators that only move values: of codes they make codes that stand for the same numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Channels:
    """Codes with a scale for each entry of their first axis, which lie in the tables: ``count``, float32.

    ``produce`` is called behind the codes.
    """

    count: int
    produce: Callable[[], Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """Codes with a scale for each ``size`` values along their last axis, which are another constant."""

    size: int
    scales: "Tensor"


@dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """A value of the graph: a constant if ``produce`` is given, which is called when the file is written.

    ``source`` is the checkpoint name of a constant that comes from a weight. ``scales`` are those of integers that
    stand for other numbers, `Levels` of values that are computed.
    """

    name: str
    shape: tuple[Dim, ...]
    dtype: str
    source: str | None = None
    produce: Callable[[], Produced] | None = None
    scales: Channels | Blocks | Levels | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor at batch 1."""
        count = int(np.prod(static_shape(self.shape), dtype=np.int64))
        return -(-count * BITS[self.dtype] // 8) if self.dtype in BITS else count * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One built-in operator by its name in the schema (``CONV_2D``), with the fields of its options table."""

    op: str
    inputs: tuple[Tensor | None, ...]
    output: Tensor
    options: Mapping[str, Any]


class GraphBuilder:
    """Collects operators and constants with names that are unique, readable and the same every time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.operations: list[Operation] = []
        self.scope = ""
        self._names: Counter[str] = Counter()
        self._shared: dict[Any, Tensor] = {}

    def operation(
        self,
        op: str,
        inputs: Sequence[Tensor | None],
        shape: Sequence[Dim],
        dtype: Any,
        options: Mapping[str, Any] | None = None,
        levels: Levels | None = None,
    ) -> Tensor:
        """Append an operator and return its output, a tensor of the given shape and dtype; codes stand for ``levels``.

        Raises:
            LoweringError: LiteRT's kernel does not take the dtype or the rank.
        """
        present = [tensor for tensor in inputs if tensor is not None]
        if op in MOVERS and isinstance(present[0].scales, Levels):
            levels = present[0].scales
        name = f"{self.scope}/{op}" if self.scope else op
        output = self.tensor(name, shape, dtype if op in {"CAST", "GATHER"} else computed(dtype), scales=levels)
        rank = max(len(tensor.shape) for tensor in (*present, output))
        check_operator(op, f"{output.name} of {self.name}", present[0].dtype, rank)
        self.operations.append(Operation(op=op, inputs=tuple(inputs), output=output, options=dict(options or {})))
        return output

    def tensor(
        self,
        name: str,
        shape: Sequence[Dim],
        dtype: Any,
        produce: Callable[[], Produced] | None = None,
        source: str | None = None,
        scales: Channels | Blocks | Levels | None = None,
    ) -> Tensor:
        """Return a new tensor.

        Raises:
            LoweringError: TFLite has no kernels for the dtype or the rank.
        """
        found = dtype if dtype in BITS else np.dtype(dtype).name
        check_tensor(f"{name} of {self.name}", tuple(shape), found)
        own = self._unique(name)
        return Tensor(name=own, shape=tuple(shape), dtype=found, source=source, produce=produce, scales=scales)

    def constant(self, array: Array) -> Tensor:
        """Return a small constant, shared by all who ask for an equal one."""
        array = np.asarray(array)
        array = array.astype(computed(array.dtype), copy=False)
        key = (array.dtype.str, array.shape, array.tobytes())
        return self.shared(key, "constant", array.shape, array.dtype, lambda: array)

    def shared(
        self, key: Any, name: str, shape: Sequence[int], dtype: Any, produce: Callable[[], Array], source: str = ""
    ) -> Tensor:
        """Return the constant of a key, made on first request."""
        return self.once(key, lambda: self.tensor(name, shape, dtype, produce, source or None))

    def once(self, key: Any, make: Callable[[], Tensor]) -> Tensor:
        """Return the tensor of a key, made on first request."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def integers(self, values: Sequence[int]) -> Tensor:
        """Return a vector of int32, the form in which operators read axes, shapes and paddings."""
        return self.constant(np.asarray(values, np.int32))

    def drop_unread(self, outputs: Sequence[Tensor]) -> None:
        """Remove the operators whose results nobody reads."""
        needed, kept = set(outputs), []
        for operation in reversed(self.operations):
            if operation.output in needed:
                kept.append(operation)
                needed.update(tensor for tensor in operation.inputs if tensor is not None)
        self.operations = kept[::-1]

    def operators(self) -> dict[str, int]:
        """Return how many operators there are of each kind, most frequent first."""
        counts = Counter(operation.op for operation in self.operations)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def _unique(self, name: str) -> str:
        self._names[name] += 1
        count = self._names[name]
        return name if count == 1 else self._unique(f"{name}_{count - 1}")
