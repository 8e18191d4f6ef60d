"""Matrix products and convolutions: of ONNX, TFLite (kernels OHWI and ``[out, in]``) and TensorFlow (HWIO)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.reading import plain, setting
from lwmport.types import Array

AT_ONCE: Final = 1 << 23
"""Elements of a kernel that are made float64 at a time."""


def times(a: Array, b: Array) -> Array:
    """Return a @ b in float64; a large b is widened a few rows at a time."""
    if b.ndim != 2 or b.size <= AT_ONCE:
        return np.asarray(np.matmul(a.astype(np.float64), b.astype(np.float64)))
    step = max(1, AT_ONCE // b.shape[1])
    parts = (a[..., at : at + step].astype(np.float64) @ b[at : at + step] for at in range(0, b.shape[0], step))
    return np.asarray(sum(parts))


def matmul(side: Side, a: Array, b: Array, *bias: Array) -> Array:
    """Return the product of two matrices or stacks of them, either one transposed where the operator says so."""
    a = _turned(a, setting(side, "transposea", "adjx", "transa", default=0))
    b = _turned(b, setting(side, "transposeb", "adjy", "transb", default=0))
    found = times(a, b) * setting(side, "alpha", default=1.0)
    return np.asarray(found + bias[0] * setting(side, "beta", default=1.0) if bias else found)


def fully_connected(_: Side, x: Array, kernel: Array, *bias: Array) -> Array:
    """Return x @ kernel.T + bias, the kernel ``[out, in]``."""
    found = times(x.reshape(-1, kernel.shape[1]), kernel.T)
    whole = found.reshape(*x.shape[:-1], kernel.shape[0]) if x.shape[-1] == kernel.shape[1] else found
    return whole + bias[0] if bias else whole


def convolution(side: Side, x: Array, kernel: Array, *bias: Array) -> Array:
    """Return the convolution of ONNX: x ``[n, c, *space]``, kernel ``[out, in / groups, *space]``."""
    space = kernel.ndim - 2
    strides = setting(side, "strides", default=[1] * space)
    dilations = setting(side, "dilations", default=[1] * space)
    reach = [(size - 1) * step + 1 for size, step in zip(kernel.shape[2:], dilations, strict=True)]
    pads = _pads(side, x.shape[2:], reach, strides)
    padded = np.pad(x, [(0, 0), (0, 0), *pads])
    groups = setting(side, "group", default=1)
    parts = [
        _one_group(one, own, strides, dilations, reach)
        for one, own in zip(np.split(padded, groups, 1), np.split(kernel, groups, 0), strict=True)
    ]
    found = np.concatenate(parts, axis=1)
    return found + bias[0].reshape(-1, *[1] * space) if bias else found


def _one_group(x: Array, kernel: Array, strides: Sequence[int], dilations: Sequence[int], reach: list[int]) -> Array:
    """Return a convolution as a sum of products, one for each place of the kernel, so that nothing is unfolded."""
    sizes = [(size - far) // step + 1 for size, far, step in zip(x.shape[2:], reach, strides, strict=True)]
    total = np.zeros((kernel.shape[0], x.shape[0], *sizes))
    for at in np.ndindex(*kernel.shape[2:]):
        starts = [one * step for one, step in zip(at, dilations, strict=True)]
        cut = [
            slice(start, start + (size - 1) * step + 1, step)
            for start, size, step in zip(starts, sizes, strides, strict=True)
        ]
        total += np.tensordot(kernel[(slice(None), slice(None), *at)], x[(slice(None), slice(None), *cut)], (1, 1))
    return np.moveaxis(total, 0, 1)


def convolution_last(side: Side, x: Array, kernel: Array, *bias: Array) -> Array:
    """Return the convolution of channels-last formats: TFLite's kernel is OHWI, TensorFlow's HWIO."""
    settings, tflite = _settings_last(side), setting(side, "strideh") is not None
    ordered = kernel.transpose(0, 3, 1, 2) if tflite else kernel.transpose(3, 2, 0, 1)
    groups = x.shape[3] // ordered.shape[1]
    own = Side(type="Conv", attributes={**settings, "group": groups})
    return convolution(own, x.transpose(0, 3, 1, 2), ordered, *bias).transpose(0, 2, 3, 1)


def depthwise_last(side: Side, x: Array, kernel: Array, *bias: Array) -> Array:
    """Return TFLite's convolution of each channel by itself: the kernel is ``[1, h, w, out]``."""
    own = Side(type="Conv", attributes={**_settings_last(side), "group": x.shape[3]})
    return convolution(own, x.transpose(0, 3, 1, 2), kernel.transpose(3, 0, 1, 2), *bias).transpose(0, 2, 3, 1)


def padding_name(side: Side) -> str:
    """Return how a channels-last format pads: ``SAME`` or ``VALID``; TFLite's schema numbers them 0 and 1."""
    found = setting(side, "padding", default="VALID")
    return {0: "SAME", 1: "VALID"}.get(found, str(found)) if isinstance(found, int) else str(found)


def _settings_last(side: Side) -> dict[str, Any]:
    strides, dilations = setting(side, "strides"), setting(side, "dilations", default=[1, 1, 1, 1])
    if strides is None:
        strides = [0, setting(side, "strideh", default=1), setting(side, "stridew", default=1), 0]
        dilations = [0, setting(side, "dilationhfactor", default=1), setting(side, "dilationwfactor", default=1), 0]
    same = {"SAME": "SAME_UPPER", "SAME_LOWER": "SAME_LOWER", "VALID": "VALID"}[padding_name(side)]
    return {"strides": strides[1:3], "dilations": dilations[1:3], "auto_pad": same}


def _pads(side: Side, sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    automatic = setting(side, "autopad", default="NOTSET")
    space = len(sizes)
    if not automatic.startswith("SAME"):
        pads = setting(side, "pads", default=[0] * 2 * space) if automatic == "NOTSET" else [0] * 2 * space
        return list(zip(pads[:space], pads[space:], strict=True))
    found = []
    for size, far, step in zip(sizes, reach, strides, strict=True):
        total = max((-(-size // step) - 1) * step + far - size, 0)
        less, more = total // 2, total - total // 2
        found.append((more, less) if automatic == "SAME_LOWER" else (less, more))
    return found


def _turned(x: Array, whether: object) -> Array:
    return x.swapaxes(-1, -2) if whether else x


def is_linear(side: Side) -> bool:
    """Return whether the operator multiplies by a kernel."""
    return plain(side.type) in LINEAR


LINEAR: Final[Mapping[str, Callable[..., Array]]] = MappingProxyType(
    {
        "matmul": matmul,
        "gemm": matmul,
        "batchmatmul": matmul,
        "batchmatmulv2": matmul,
        "batchmatmulv3": matmul,
        "fullyconnected": fully_connected,
        "conv": convolution,
        "conv2d": convolution_last,
        "depthwiseconv2d": depthwise_last,
    }
)
