"""Layers whose class names are flax's, so that LWM's automatic parameter names (``GroupNorm_0``) come out."""

import jax
from flax import linen as nn

from lwmport.models.composites import basic as composites
from lwmport.models.group_norm import GROUPS

EPSILON = 1e-6
"""flax's default for GroupNorm, which LWM uses everywhere."""


class GroupNorm(nn.Module):
    """Group normalisation of x [b, h, w, c] with 32 groups, marked as a composite."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        return composites.group_norm(x, scale, bias, groups=GROUPS, epsilon=EPSILON)


def conv3x3(features: int) -> nn.Conv:
    """Return a 3x3 convolution with stride 1 that keeps height and width (SAME)."""
    return nn.Conv(features, (3, 3))


def conv1x1(features: int) -> nn.Conv:
    """Return a 1x1 convolution: a linear map of the channels."""
    return nn.Conv(features, (1, 1))


def rows(table: jax.Array, indices: jax.Array) -> jax.Array:
    """Return the row [..., d] of table [n, d] at each index [...], with no check of the indices.

    Written as one gather that promises to stay in bounds, because numpy-style indexing adds arithmetic for negative
    indices, which would end up in every converted graph.
    """
    dimensions = jax.lax.GatherDimensionNumbers(
        offset_dims=(indices.ndim,), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    mode = jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return jax.lax.gather(table, indices[..., None], dimensions, (1, table.shape[1]), mode=mode)
