"""Average pools and resizing to the nearest place."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.formulas.linear import convolution, padding_name
from lwmport.diagnosis.reading import given, setting
from lwmport.types import Array


def average(side: Side, x: Array) -> Array:
    """Return ONNX's average pool of ``[n, c, *space]``: the padding counts where ``count_include_pad`` is 1."""
    shape = setting(side, "kernelshape")
    kernel = np.ones((x.shape[1], 1, *shape))
    own = Side(type="Conv", attributes={**side.attributes, "group": x.shape[1]})
    sums = convolution(own, x, kernel)
    whole = np.prod(shape) if setting(side, "countincludepad", default=0) else convolution(own, np.ones_like(x), kernel)
    return np.asarray(sums / whole)


def average_last(side: Side, x: Array) -> Array:
    """Return TFLite's or TensorFlow's average pool of ``[n, h, w, c]``: the padding does not count."""
    sizes, strides = setting(side, "ksize"), setting(side, "strides")
    shape = sizes[1:3] if sizes else [setting(side, "filterheight"), setting(side, "filterwidth")]
    steps = strides[1:3] if strides else [setting(side, "strideh"), setting(side, "stridew")]
    same = "SAME_UPPER" if padding_name(side) == "SAME" else "VALID"
    counted = setting(side, "countincludepad", default=0)
    settings = {"kernel_shape": shape, "strides": steps, "auto_pad": same, "count_include_pad": counted}
    own = Side(type="AveragePool", attributes=settings)
    return average(own, x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)


def resize(side: Side, x: Array, *_: Array) -> Array:
    """Return ONNX's Resize to the nearest place.

    Raises:
        ValueError: it is another mode, or the sizes are not known.
    """
    scales, sizes = given(side, 2), given(side, 3)
    if setting(side, "mode", default="nearest") != "nearest" or (scales is None and sizes is None):
        raise ValueError("a Resize that is not known")
    if scales is not None and scales.size:
        out, ratios = np.floor(np.multiply(x.shape, scales)).astype(int), np.ravel(scales)
    else:
        out = np.ravel(np.asarray(sizes)).astype(int)
        ratios = np.divide(out, x.shape)
    kind = setting(side, "coordinatetransformationmode", default="half_pixel")
    rounding = setting(side, "nearestmode", default="round_prefer_floor")
    for axis, (size, ratio) in enumerate(zip(out, ratios, strict=True)):
        if size != x.shape[axis] or ratio != 1:
            places = ROUNDINGS[rounding](_coordinates(kind, np.arange(size), float(ratio), x.shape[axis]))
            x = np.take(x, np.clip(places, 0, x.shape[axis] - 1).astype(int), axis)
    return x


def resize_last(side: Side, x: Array, sizes: Array) -> Array:
    """Return TFLite's or TensorFlow's resizing of ``[n, h, w, c]`` to the nearest place."""
    aligned = bool(setting(side, "aligncorners", default=False))
    half = bool(setting(side, "halfpixelcenters", default=False))
    for axis, size in ((1, int(sizes[0])), (2, int(sizes[1]))):
        ratio = (x.shape[axis] - 1) / (size - 1) if aligned and size > 1 else x.shape[axis] / size
        at = (np.arange(size) + (0.5 if half else 0.0)) * ratio
        places = np.floor(at + 0.5) if aligned else np.floor(at)
        x = np.take(x, np.clip(places, 0, x.shape[axis] - 1).astype(int), axis)
    return x


def _coordinates(kind: str, at: Array, ratio: float, size: int) -> Array:
    if kind == "asymmetric":
        return np.asarray(at / ratio)
    if kind == "align_corners":
        return np.asarray(at * (size - 1) / max(len(at) - 1, 1))
    return np.asarray((at + 0.5) / ratio - 0.5)


ROUNDINGS: Final[Mapping[str, Callable[[Array], Array]]] = MappingProxyType(
    {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
)
WINDOWS: Final[Mapping[str, Callable[..., Array]]] = MappingProxyType(
    {
        "averagepool": average,
        "averagepool2d": average_last,
        "avgpool": average_last,
        "resize": resize,
        "resizenearestneighbor": resize_last,
    }
)
