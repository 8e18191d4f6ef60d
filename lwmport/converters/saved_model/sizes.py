"""Dynamic sizes as tensors: what the inputs show, and what JAX computes of it (``8*floordiv(past + 7, 8)``)."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lwmport.errors import LoweringError
from lwmport.types import Dim


class Sizes:
    """The sizes of a program, made where they are first needed; the body of a loop makes its own."""

    def __init__(self, tf: Any) -> None:
        self._tf = tf
        self._axes: dict[str, tuple[Any, int]] = {}
        self._made: dict[tuple[int, str], Any] = {}

    def add_input(self, value: Any, shape: Sequence[Dim]) -> None:
        """Learn which sizes an input shows."""
        for axis, dim in enumerate(shape):
            if isinstance(dim, str) and dim.isidentifier():
                self._axes.setdefault(dim, (value, axis))

    def scalar(self, dim: Dim) -> Any:
        """Return a size as a number, or as an int32 tensor [] if it is dynamic.

        Raises:
            LoweringError: the size is not one that the inputs decide.
        """
        if isinstance(dim, int):
            return dim
        key = (id(self._tf.compat.v1.get_default_graph()), dim)
        if key not in self._made:
            self._made[key] = self._evaluate(ast.parse(dim.replace("^", "**"), mode="eval").body, dim)
        return self._made[key]

    def vector(self, dims: Sequence[Dim]) -> Any:
        """Return several sizes as an int32 tensor [n]."""
        if all(isinstance(dim, int) for dim in dims):
            return self._tf.constant(list(dims), "int32", shape=[len(dims)])
        return self._tf.stack([self._tf.constant(dim) if isinstance(dim, int) else self.scalar(dim) for dim in dims])

    def _evaluate(self, tree: ast.AST, text: str) -> Any:
        match tree:
            case ast.Name(id=name) if name in self._axes:
                value, axis = self._axes[name]
                return self._tf.shape(value)[axis]
            case ast.Constant(value=int(number)):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._evaluate(operand, text)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](self._evaluate(left, text), self._evaluate(right, text))
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _CALLS:
                return _CALLS[name](self._tf)(*(self._evaluate(argument, text) for argument in arguments))
        raise LoweringError(f"expected sizes that the inputs decide, found {text}, of which {ast.unparse(tree)} is not")


_ARITHMETIC: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.Sub: operator.sub,
}
_CALLS: Final[Mapping[str, Callable[[Any], Callable[..., Any]]]] = {
    "floordiv": lambda _: operator.floordiv,
    "max": lambda tf: tf.maximum,
    "min": lambda tf: tf.minimum,
    "mod": lambda _: operator.mod,
}
"""JAX's functions of sizes -> TensorFlow's."""
