"""One equation computed at conversion: numpy for what is a view or plain arithmetic, JAX for the rest."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from lwmport.types import Array


def evaluate(equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Return the results of one equation on known operands."""
    rule = _RULES.get(equation.primitive.name)
    if rule is None:
        return _with_jax(equation, operands)
    with np.errstate(all="ignore"):  # JAX overflows and divides by zero in silence
        result = rule(equation.params, *operands)
    return [np.asarray(result, dtype=equation.outvars[0].aval.dtype)]


def rearrange(equation: Any, operand: Array) -> Array:
    """Return the result of an equation that only moves elements (`lwmport.graphs.known.LAYOUTS`), of any dtype."""
    return np.asarray(_RULES[equation.primitive.name](equation.params, operand))


def _with_jax(equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Return the results of JAX itself, on the CPU."""
    import jax

    with jax.ensure_compile_time_eval(), jax.default_device(jax.devices("cpu")[0]):
        found = equation.primitive.bind(*(jax.numpy.asarray(operand) for operand in operands), **equation.params)
    results = found if equation.primitive.multiple_results else [found]
    return [np.asarray(result) for result in results]


def _broadcast_in_dim(params: dict[str, Any], x: Array, *_: Array) -> Array:
    shape = [1] * len(params["shape"])
    for axis, size in zip(params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = size
    return np.broadcast_to(x.reshape(shape), params["shape"])


def _slice(params: dict[str, Any], x: Array) -> Array:
    strides = params["strides"] or (1,) * x.ndim
    ranges = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return x[tuple(slice(start, stop, step) for start, stop, step in ranges)]


_RULES: Final[dict[str, Callable[..., Any]]] = {
    "add": lambda _, x, y: x + y,
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": lambda params, *xs: np.concatenate(xs, axis=params["dimension"]),
    "convert_element_type": lambda params, x: x.astype(params["new_dtype"]),
    "copy": lambda _, x: x,
    "div": lambda _, x, y: np.trunc(x / y) if x.dtype.kind in "iu" else x / y,
    "max": lambda _, x, y: np.maximum(x, y),
    "min": lambda _, x, y: np.minimum(x, y),
    "mul": lambda _, x, y: x * y,
    "neg": lambda _, x: -x,
    "reduce_sum": lambda params, x: np.sum(x, axis=tuple(params["axes"]), dtype=_accumulator(x)),
    "reshape": lambda params, x: x.reshape(params["new_sizes"]),
    "slice": _slice,
    "squeeze": lambda params, x: np.squeeze(x, axis=tuple(params["dimensions"])),
    "sub": lambda _, x, y: x - y,
    "transpose": lambda params, x: x.transpose(params["permutation"]),
}


def _accumulator(x: Array) -> Any:
    """Sums are taken in float64: the reference of a constant is its exact value."""
    return x.dtype if x.dtype.kind in "iu" else np.float64
