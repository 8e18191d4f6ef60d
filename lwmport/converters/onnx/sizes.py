"""Dynamic sizes as values of the graph: each is computed once, from the shape of an input, ahead of everything else."""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.graph import GraphBuilder
from lwmport.errors import LoweringError
from lwmport.types import Dim

SLICED_SINCE: Final = 15
"""First opset in which Shape gives a part of the shape."""


class Sizes:
    """The sizes of a program, which are numbers or texts such as ``8*floordiv(past + sequence + 7, 8)``."""

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph
        self._axes: dict[str, tuple[ir.Value, int]] = {}
        self._values: dict[Any, ir.Value] = {}

    def add_input(self, value: ir.Value, shape: Sequence[Dim]) -> None:
        """Learn which sizes an input of the graph shows."""
        for axis, dim in enumerate(shape):
            if isinstance(dim, str):
                self._axes.setdefault(dim, (value, axis))

    def value(self, dim: Dim) -> ir.Value:
        """Return a size as int64 [1].

        Raises:
            LoweringError: the size is not one that the inputs decide.
        """
        if isinstance(dim, int):
            return self._graph.constant(np.asarray([dim], np.int64))
        return self._once(dim, lambda: self._computed(dim))

    def vector(self, dims: Sequence[Dim]) -> ir.Value:
        """Return several sizes as int64 [n]."""
        if all(isinstance(dim, int) for dim in dims):
            return self._graph.constant(np.asarray(dims, np.int64).reshape(-1))
        if len(dims) == 1:
            return self.value(dims[0])
        parts = [self.value(dim) for dim in dims]
        return self._once(
            ("vector", *dims), lambda: self._graph.node("Concat", parts, (len(dims),), np.int64, {"axis": 0})
        )

    def scalar(self, dim: Dim, dtype: Any) -> ir.Value:
        """Return a size as a scalar."""
        if isinstance(dim, int):
            return self._graph.constant(np.asarray(dim, dtype))
        return self._once(("scalar", dim, str(dtype)), lambda: self._scalar(dim, dtype))

    def counted(self, dim: Dim, dtype: Any) -> ir.Value:
        """Return 0, 1, 2, ... up to a size, [n]."""
        if isinstance(dim, int):
            return self._graph.constant(np.arange(dim, dtype=dtype))
        zero, one = (self._graph.constant(np.asarray(number, dtype)) for number in (0, 1))
        end = self.scalar(dim, dtype)
        return self._once(
            ("counted", dim, str(dtype)), lambda: self._graph.node("Range", [zero, end, one], (dim,), dtype)
        )

    def _scalar(self, dim: Dim, dtype: Any) -> ir.Value:
        shape = self._graph.constant(np.asarray([], np.int64))
        value = self._graph.node("Reshape", [self.value(dim), shape], (), np.int64)
        to = ir.DataType.from_numpy(np.dtype(dtype))
        return value if to == ir.DataType.INT64 else self._graph.node("Cast", [value], (), dtype, {"to": int(to)})

    def _once(self, key: Any, make: Callable[[], ir.Value]) -> ir.Value:
        if key not in self._values:
            with self._graph.ahead():
                self._values[key] = make()
        return self._values[key]

    def _computed(self, text: str) -> ir.Value:
        if text in self._axes:
            return self._axis(*self._axes[text])
        return self._evaluate(ast.parse(text.replace("^", "**"), mode="eval").body, text)

    def _axis(self, value: ir.Value, axis: int) -> ir.Value:
        """Return the size of one axis of an input, int64 [1]."""
        if self._graph.opset >= SLICED_SINCE:
            return self._graph.node("Shape", [value], (1,), np.int64, {"start": axis, "end": axis + 1})
        rank = len(value.shape) if value.shape is not None else 0
        whole = self._once(("shape", value.name), lambda: self._graph.node("Shape", [value], (rank,), np.int64))
        index = self._graph.constant(np.asarray([axis], np.int64))
        return self._graph.node("Gather", [whole, index], (1,), np.int64, {"axis": 0})

    def _evaluate(self, tree: ast.AST, text: str) -> ir.Value:
        """Return the value of a size as JAX prints it."""
        match tree:
            case ast.Constant(value=int(number)):
                return self.value(number)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                return self.value(-number)
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
                factors = [self._part(left, text)] * power
                return reduce(lambda x, y: self._node("Mul", [x, y]), factors)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return self._node(_ARITHMETIC[type(op)], [self._part(left, text), self._part(right, text)])
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _CALLS:
                return self._node(_CALLS[name], [self._part(argument, text) for argument in arguments])
        raise LoweringError(f"expected sizes that the inputs decide, found {text}, of which {ast.unparse(tree)} is not")

    def _part(self, tree: ast.AST, text: str) -> ir.Value:
        """Return the value of a part of a size, shared with all who need the same."""
        part = ast.unparse(tree)
        if part in self._axes:
            return self.value(part)
        return self._once(part, lambda: self._evaluate(tree, text))

    def _node(self, op: str, operands: list[ir.Value]) -> ir.Value:
        return self._graph.node(op, operands, (1,), np.int64)


_ARITHMETIC: Final[Mapping[type, str]] = {ast.Add: "Add", ast.Mult: "Mul", ast.Sub: "Sub"}
_CALLS: Final[Mapping[str, str]] = {"floordiv": "Div", "max": "Max", "min": "Min", "mod": "Mod"}
"""JAX's functions of sizes -> operators. A quotient is of sizes, so that rounding down and to zero are the same."""
