"""What the tests of every converter's rules have in common: exact inputs, and the functions of single elements.

Inputs are small multiples of 1/4, so that sums are exact and ties are frequent.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import jax.numpy as jnp
import numpy as np
from jax import lax

from lwmport.types import Array

Example = tuple[Callable[..., Any], tuple[Array, ...]]

NHWC: Final = (2, 4, 5, 3)


def quarters(*shape: int, seed: int = 0) -> Array:
    random = np.random.default_rng([seed, *shape])
    return np.asarray(random.integers(-8, 9, shape) / 4, np.float32)


def array(dtype: str, *shape: int, seed: int = 0) -> Array:
    values = quarters(*shape, seed=seed)
    if dtype == "bool":
        return np.asarray(values > 0)
    return np.asarray(4 * values if dtype == "int32" else values, dtype)


def convolved(x: Any, kernel: Any, strides: tuple[int, ...] = (1, 1), padding: Any = "SAME", **options: Any) -> Any:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=numbers, **options)


def positive(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: function(*(lax.abs(x) + jnp.asarray(0.25, x.dtype) for x in xs))


UNARY: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "abs": (lax.abs, "numbers"),
    "ceil": (lax.ceil, "floats"),
    "copy": (lax.copy_p.bind, "any"),
    "cos": (lax.cos, "floats"),
    "erf": (lax.erf, "floats"),
    "exp": (lax.exp, "floats"),
    "floor": (lax.floor, "floats"),
    "log": (positive(lax.log), "floats"),
    "logistic": (lax.logistic, "floats"),
    "neg": (lax.neg, "numbers"),
    "not": (lax.bitwise_not, "truth"),
    "round": (lambda x: lax.round(2 * x, lax.RoundingMethod.TO_NEAREST_EVEN), "floats"),
    "rsqrt": (positive(lax.rsqrt), "floats"),
    "sign": (lax.sign, "numbers"),
    "sin": (lax.sin, "floats"),
    "sqrt": (positive(lax.sqrt), "floats"),
    "square": (lax.square, "numbers"),
    "stop_gradient": (lax.stop_gradient, "floats"),
    "tanh": (lax.tanh, "floats"),
}
BINARY: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "add": (lax.add, "numbers"),
    "and": (lax.bitwise_and, "truth"),
    "div": (lambda x, y: lax.div(x, y + (y == 0).astype(y.dtype)), "numbers"),
    "eq": (lax.eq, "any"),
    "ge": (lax.ge, "numbers"),
    "gt": (lax.gt, "numbers"),
    "le": (lax.le, "numbers"),
    "lt": (lax.lt, "numbers"),
    "max": (lax.max, "numbers"),
    "min": (lax.min, "numbers"),
    "mul": (lax.mul, "numbers"),
    "ne": (lax.ne, "any"),
    "or": (lax.bitwise_or, "truth"),
    "pow": (positive(lax.pow), "floats"),
    "sub": (lax.sub, "numbers"),
}


def element_examples(
    rules: Mapping[str, Any],
    examples_of: Callable[[Callable[..., Any], int, tuple[str, ...]], Any],
    floats: tuple[str, ...],
) -> dict[str, list[Example]]:
    """Return the examples of every rule for single elements, each in the dtypes that the format has for its kind."""
    kinds = {"floats": floats, "numbers": (*floats, "int32"), "any": (*floats, "int32", "bool"), "truth": ("bool",)}
    return {
        name: list(examples_of(function, arity, kinds[kind]))
        for arity, table in ((1, UNARY), (2, BINARY))
        for name, (function, kind) in table.items()
        if name in rules
    }


def assert_agrees(found: Mapping[str, Array], reference: Mapping[str, Array], rtol: float, atol: float) -> None:
    """Compare every output with JAX: name, shape, dtype and values, float16 a thousand times as coarsely."""
    assert sorted(found) == sorted(reference)
    for name, expected in reference.items():
        coarse = 1000 if expected.dtype == np.float16 else 1
        exact = not np.issubdtype(expected.dtype, np.floating)
        allowed = {"rtol": 0, "atol": 0} if exact else {"rtol": rtol * coarse, "atol": atol * coarse}
        assert found[name].dtype == expected.dtype, name
        np.testing.assert_allclose(found[name], expected, err_msg=name, strict=True, **allowed)
