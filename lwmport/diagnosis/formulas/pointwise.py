"""Operators that work element by element, and the softmax: by the names that the formats have for them."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.reading import given, plain, setting
from lwmport.types import Array

Unary: TypeAlias = Callable[[Array], Array]
Binary: TypeAlias = Callable[[Array, Array], Array]

TANH_SCALE: Final = math.sqrt(2 / math.pi)
TANH_CUBE: Final = 0.044715
"""The constants of the tanh approximation of GELU (Hendrycks and Gimpel, arXiv 1606.08415)."""

QUICK_SCALE: Final = 1.702
"""The constant of the sigmoid approximation of GELU, from the same paper."""


def erf(x: Array) -> Array:
    """Return the error function of each element."""
    flat = np.fromiter(map(math.erf, np.ravel(x)), np.float64, np.size(x))
    return flat.reshape(np.shape(x))


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def gelu(x: Array) -> Array:
    """Return x times the normal distribution's cumulative function at x."""
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))))


def tanh_gelu(x: Array) -> Array:
    """Return GELU by its tanh approximation."""
    return np.asarray(0.5 * x * (1 + np.tanh(TANH_SCALE * (x + TANH_CUBE * x**3))))


def tanh_erf(x: Array) -> Array:
    """Return the error function as the tanh approximation of GELU has it."""
    wide = x * math.sqrt(2)
    return np.tanh(TANH_SCALE * (wide + TANH_CUBE * wide**3))


def quick_gelu(x: Array) -> Array:
    """Return x sigmoid(1.702 x)."""
    return x * sigmoid(QUICK_SCALE * x)


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def divided(a: Array, b: Array) -> Array:
    """Return the quotient; of integers the part before the point."""
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return np.trunc(a / b).astype(a.dtype)
    return np.asarray(a / b)


UNARY: Final[Mapping[str, Unary]] = MappingProxyType(
    {
        "sigmoid": sigmoid,
        "logistic": sigmoid,
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0),
        "erf": erf,
        "exp": np.exp,
        "log": np.log,
        "sqrt": np.sqrt,
        "rsqrt": lambda x: 1 / np.sqrt(x),
        "neg": np.negative,
        "abs": np.abs,
        "reciprocal": lambda x: 1 / x,
        "square": np.square,
        "sin": np.sin,
        "cos": np.cos,
        "floor": np.floor,
        "ceil": np.ceil,
        "round": np.round,
        "identity": lambda x: x,
        "fastgelu": tanh_gelu,
        "quickgelu": quick_gelu,
        "silu": silu,
        "swish": silu,
        "softplus": lambda x: np.logaddexp(x, 0),
    }
)
BINARY: Final[Mapping[str, Binary]] = MappingProxyType(
    {
        "add": np.add,
        "addv2": np.add,
        "biasadd": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "div": divided,
        "realdiv": divided,
        "pow": np.power,
        "max": np.maximum,
        "maximum": np.maximum,
        "min": np.minimum,
        "minimum": np.minimum,
        "squareddifference": lambda a, b: (a - b) ** 2,
        "floordiv": np.floor_divide,
        "mod": np.mod,
        "floormod": np.mod,
        "equal": np.equal,
        "greater": np.greater,
        "greaterorequal": np.greater_equal,
        "greaterequal": np.greater_equal,
        "less": np.less,
        "lessorequal": np.less_equal,
        "lessequal": np.less_equal,
        "and": np.logical_and,
        "logicaland": np.logical_and,
        "or": np.logical_or,
        "logicalor": np.logical_or,
    }
)
COMMUTE: Final = frozenset({"add", "addv2", "mul", "max", "maximum", "min", "minimum", "squareddifference", "equal"})
"""Operators that do not mind which operand is first."""


def unary(side: Side, x: Array) -> Array:
    """Return an element by element function of one input."""
    return np.asarray(UNARY[plain(side.type)](x))


def binary(side: Side, a: Array, b: Array) -> Array:
    """Return an element by element function of two inputs."""
    return np.asarray(BINARY[plain(side.type)](a, b))


def any_gelu(side: Side, x: Array) -> Array:
    """Return GELU by the formula that the operator's setting asks for."""
    approximate = setting(side, "approximate", default="none")
    return tanh_gelu(x) if approximate in {"tanh", True} else gelu(x)


def where(_: Side, condition: Array, one: Array, other: Array) -> Array:
    """Return the one where the condition is true, the other elsewhere."""
    return np.where(condition.astype(bool), one, other)


def clip(side: Side, x: Array, *_: Array) -> Array:
    """Return x between two bounds, each of which may be left out."""
    low, high = (given(side, place) for place in (1, 2))
    low = setting(side, "min") if low is None else low
    high = setting(side, "max") if high is None else high
    return np.asarray(x if low is None and high is None else np.clip(x, low, high))


def softmax(side: Side, x: Array) -> Array:
    """Return the softmax along an axis, of x times ``beta`` where the format has one."""
    axis = setting(side, "axis", default=-1)
    scaled = x * setting(side, "beta", default=1.0)
    powers = np.exp(scaled - scaled.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


POINTWISE: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        **dict.fromkeys(UNARY, unary),
        **dict.fromkeys(BINARY, binary),
        "gelu": any_gelu,
        "where": where,
        "selectv2": where,
        "select": where,
        "clip": clip,
        "softmax": softmax,
    }
)
