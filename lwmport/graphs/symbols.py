"""The sizes that a signature names, as JAX's symbolic dimensions: ``batch``, ``past + sequence``."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import jax

from lwmport.errors import LoweringError
from lwmport.types import Signature


def sizes_of(signature: Signature, fixed: Mapping[str, int]) -> dict[str, Any]:
    """Return each size that a signature has as text -> its value: a number if it is fixed, else a symbolic dimension.

    All are expressions over one set of names, so that ``past + sequence`` is the sum of the other two. JAX takes every
    name as at least 1; that a cache may be empty is a matter of the operators that a program uses, which all allow it.
    """
    scope = jax.export.SymbolicScope()
    texts = dict.fromkeys(dim for spec in (*signature.inputs, *signature.outputs) for dim in spec.shape)
    found: dict[str, Any] = {}
    for text in texts:
        if isinstance(text, str):
            found[text] = fixed[text] if text in fixed else jax.export.symbolic_shape(text, scope=scope)[0]
    return found


def names_of(sizes: Mapping[str, Any]) -> dict[str, str]:
    """Return how JAX prints each symbolic size -> how the signature writes it."""
    return {str(size): text for text, size in sizes.items() if not isinstance(size, int)}


def number_of(dim: Any, sizes: Mapping[str, int]) -> int:
    """Return a symbolic size as a number, for numbers in place of its names.

    Raises:
        LoweringError: it holds what is no arithmetic of these names.
    """
    text = str(dim)
    try:
        return _value(ast.parse(text.replace("^", "**"), mode="eval").body, sizes)
    except (KeyError, SyntaxError, ValueError) as error:
        raise LoweringError(f"expected a size out of {', '.join(sizes)}, found {text}") from error


_OPERATORS: Final[Mapping[type, Callable[[int, int], int]]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.Sub: operator.sub,
}
_FUNCTIONS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "floordiv": operator.floordiv,
    "max": max,
    "min": min,
    "mod": operator.mod,
}
"""How JAX prints what is done with sizes -> what it is."""


def _value(node: Any, sizes: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return sizes[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, sizes)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, sizes), _value(right, sizes))
        case ast.Call(func=ast.Name(id=name), args=[left, right]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(left, sizes), _value(right, sizes))
    raise ValueError(ast.dump(node))
