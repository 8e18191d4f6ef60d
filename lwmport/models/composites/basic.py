"""Composites: parts of a model that backends have a name for, with the decomposition that defines them.

A converter whose dialect has the operator emits one node; any other descends into the decomposition. Layout is
JAX's channels-last throughout. Names and attributes are the contract with `lwmport.converters`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

GROUP_NORM = "lwmport.group_norm"
SILU = "lwmport.silu"
SOFTMAX = "lwmport.softmax"
UPSAMPLE_NEAREST = "lwmport.upsample_nearest"
AVERAGE_POOL = "lwmport.average_pool"
NEAREST_CODE = "lwmport.nearest_code"


def group_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, *, groups: int, epsilon: float) -> jax.Array:
    """Return x [b, h, w, c] normalised over (h, w, c / groups), times scale [c], plus bias [c].

    The variance is E[x^2] - E[x]^2 clipped at 0, as in flax (`use_fast_variance`), computed in float32.
    """

    def decomposition(x: jax.Array, scale: jax.Array, bias: jax.Array, *, groups: int, epsilon: float) -> jax.Array:
        channels = x.shape[-1]
        grouped = x.astype(jnp.float32).reshape(*x.shape[:-1], groups, channels // groups)
        axes = (1, 2, 4)
        mean = jnp.mean(grouped, axes, keepdims=True)
        variance = jnp.maximum(jnp.mean(grouped * grouped, axes, keepdims=True) - mean * mean, 0.0)
        per_group = (1, 1, 1, groups, channels // groups)
        factor = jax.lax.rsqrt(variance + epsilon) * scale.reshape(per_group)
        return ((grouped - mean) * factor + bias.reshape(per_group)).reshape(x.shape).astype(x.dtype)

    return _composite(decomposition, GROUP_NORM)(x, scale, bias, groups=groups, epsilon=epsilon)


def silu(x: jax.Array) -> jax.Array:
    """Return x * sigmoid(x)."""
    return _composite(lambda x: x * jax.lax.logistic(x), SILU)(x)


def softmax(x: jax.Array) -> jax.Array:
    """Return exp(x) normalised over the last axis, shifted by its maximum so that it cannot overflow."""

    def decomposition(x: jax.Array) -> jax.Array:
        shifted = jnp.exp(x - jnp.max(x, axis=-1, keepdims=True))
        return shifted / jnp.sum(shifted, axis=-1, keepdims=True)

    return _composite(decomposition, SOFTMAX)(x)


def upsample_nearest(x: jax.Array, *, factor: int) -> jax.Array:
    """Return x [b, h, w, c] with every pixel repeated: [b, h * factor, w * factor, c]."""

    def decomposition(x: jax.Array, *, factor: int) -> jax.Array:
        batch, height, width, channels = x.shape
        spread = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, factor, width, factor, channels))
        return spread.reshape(batch, height * factor, width * factor, channels)

    return _composite(decomposition, UPSAMPLE_NEAREST)(x, factor=factor)


def average_pool(x: jax.Array, *, size: int) -> jax.Array:
    """Return the mean of every size x size window of x [b, h, w, c], without overlap or padding (VALID)."""

    def decomposition(x: jax.Array, *, size: int) -> jax.Array:
        window = (1, size, size, 1)
        zero = np.zeros((), x.dtype)  # known, for JAX sees a sum only in a reduction that starts at a known zero
        total = jax.lax.reduce_window(x, zero, jax.lax.add, window, window, "VALID")
        return total / jnp.asarray(size * size, x.dtype)

    return _composite(decomposition, AVERAGE_POOL)(x, size=size)


def nearest_code(z: jax.Array, codes: jax.Array) -> jax.Array:
    """Return the int32 index [n] of the code [k, d] nearest to each row of z [n, d]; the first one wins a tie.

    The distance is |z|^2 + |e|^2 - 2 z.e in this order, for its rounding decides ties in LWM itself.
    """

    def decomposition(z: jax.Array, codes: jax.Array) -> jax.Array:
        lengths = jnp.sum(z * z, axis=1, keepdims=True) + jnp.sum(codes * codes, axis=1)[None, :]
        return jnp.argmin(lengths - 2.0 * (z @ codes.T), axis=1).astype(jnp.int32)

    return _composite(decomposition, NEAREST_CODE)(z, codes)


def _composite(decomposition: Any, name: str) -> Any:
    return jax.lax.composite(decomposition, name=name, version=1)
