"""Norms of ONNX, ours, and ONNX Runtime's, and means and variances."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.reading import given, plain, setting
from lwmport.types import Array

EPSILON: Final[Mapping[str, float]] = MappingProxyType({"skipsimplifiedlayernormalization": 1e-12})
"""Type -> the epsilon that it has where none is given; all others have 1e-5."""

GROUPS_OF_OURS: Final = 32


def epsilon_of(side: Side) -> float:
    """Return a norm's epsilon."""
    found = setting(side, "epsilon")
    return EPSILON.get(plain(side.type), 1e-5) if found is None else float(found)


def normal(x: Array, axes: tuple[int, ...], side: Side, *, centred: bool = True) -> Array:
    """Return x over its deviation along some axes; ``ddof`` of the operator is what the variance's count is less by."""
    shifted = x - x.mean(axis=axes, keepdims=True) if centred else x
    count = np.prod([x.shape[axis] for axis in axes]) - setting(side, "ddof", default=0)
    power = (shifted**2).sum(axis=axes, keepdims=True) / count
    return np.asarray(shifted / np.sqrt(power + epsilon_of(side)))


def affine(x: Array, side: Side, gamma: int, beta: int) -> Array:
    """Return x times gamma plus beta, at these places of the inputs, either of which may be left out."""
    scale, shift = given(side, gamma), given(side, beta)
    scaled = x if scale is None else x * scale.astype(np.float64)
    return scaled if shift is None else scaled + shift.astype(np.float64)


def layer_norm(side: Side, x: Array, *_: Array) -> Array:
    """Return the norm over the axes from ``axis`` on."""
    return affine(normal(x, _from_axis(side, x), side), side, 1, 2)


def rms_norm(side: Side, x: Array, *_: Array) -> Array:
    """Return the norm without a mean over the axes from ``axis`` on."""
    return affine(normal(x, _from_axis(side, x), side, centred=False), side, 1, 2)


def skip_rms_norm(side: Side, x: Array, skip: Array, *_: Array) -> Array:
    """Return the norm without a mean of the sum of two inputs and of a bias, if there is one."""
    bias = given(side, 3)
    whole = x + skip + (0 if bias is None else bias)
    return affine(normal(whole, (-1,), side, centred=False), side, 2, len(side.inputs))


def skip_layer_norm(side: Side, x: Array, skip: Array, *_: Array) -> Array:
    """Return the norm of the sum of two inputs and of a bias, if there is one."""
    bias = given(side, 4)
    return affine(normal(x + skip + (0 if bias is None else bias), (-1,), side), side, 2, 3)


def group_norm(side: Side, x: Array, *_: Array) -> Array:
    """Return the norm over groups of the channels of ``[n, c, *space]``."""
    groups = setting(side, "numgroups", "groups", default=GROUPS_OF_OURS)
    parts = x.reshape(x.shape[0], groups, -1)
    found = normal(parts, (2,), side).reshape(x.shape)
    return affine(found, _over_channels(side, x), 1, 2)


def instance_norm(side: Side, x: Array, *_: Array) -> Array:
    """Return the norm of each channel of ``[n, c, *space]``."""
    return affine(normal(x, tuple(range(2, x.ndim)), side), _over_channels(side, x), 1, 2)


def axes_of(side: Side) -> tuple[int, ...] | None:
    """Return the axes that a reduction is along: an attribute or the second input; None for all."""
    found = given(side, 1)
    axes = setting(side, "axes", "axis") if found is None else found
    return None if axes is None else tuple(int(axis) for axis in np.ravel(axes))


def reduced(function: Callable[..., Any]) -> Callable[..., Array]:
    """Return a formula for a function of numpy that reduces axes."""

    def formula(side: Side, x: Array, *_: Array) -> Array:
        default = 1 if plain(side.type).startswith("reduce") else 0
        keep = bool(setting(side, "keepdims", default=default))
        return np.asarray(function(x, axis=axes_of(side), keepdims=keep))

    return formula


def variance(side: Side, x: Array, *_: Array) -> Array:
    """Return the variance along axes, its count less by ``ddof``."""
    axes = axes_of(side)
    shifted = x - x.mean(axis=axes, keepdims=True)
    count = x.size // max(1, shifted.mean(axis=axes, keepdims=True).size) - setting(side, "ddof", default=0)
    return np.asarray((shifted**2).sum(axis=axes, keepdims=True) / count)


def _from_axis(side: Side, x: Array) -> tuple[int, ...]:
    axis = int(setting(side, "axis", default=-1)) % x.ndim
    only = setting(side, "onlyaxis", default=False)
    return (axis,) if only else tuple(range(axis, x.ndim))


def _over_channels(side: Side, x: Array) -> Side:
    """Return the operator with its vectors as ``[c, 1, 1]``."""
    inputs = [one if one is None or at == 0 else _tall(one, x) for at, one in enumerate(side.inputs)]
    return Side(type=side.type, attributes=side.attributes, inputs=tuple(inputs))


def _tall(vector: Array, x: Array) -> Array:
    return vector.reshape(-1, *[1] * (x.ndim - 2)) if vector.size == x.shape[1] else vector


NORMS: Final[Mapping[str, Callable[..., Array]]] = MappingProxyType(
    {
        "layernormalization": layer_norm,
        "simplifiedlayernormalization": rms_norm,
        "rmsnormalization": rms_norm,
        "skipsimplifiedlayernormalization": skip_rms_norm,
        "skiplayernormalization": skip_layer_norm,
        "groupnormalization": group_norm,
        "groupnorm32": group_norm,
        "instancenormalization": instance_norm,
    }
)
REDUCED: Final[Mapping[str, Callable[..., Array]]] = MappingProxyType(
    {
        **dict.fromkeys(("reducemean", "mean"), reduced(np.mean)),
        **dict.fromkeys(("reducesum", "sum"), reduced(np.sum)),
        **dict.fromkeys(("reducemax",), reduced(np.max)),
        **dict.fromkeys(("reducemin",), reduced(np.min)),
        "variance": variance,
    }
)
