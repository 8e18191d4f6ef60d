"""ONNX's products in another arithmetic: MatMul, Gemm and Conv as matrices that are multiplied chunk by chunk."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.errors import RunnerError
from lwmport.types import Array

Multiply: TypeAlias = Callable[[Array, Array], Array]
"""Returns the product of matrices [..., m, k] and [..., k, n]."""


def matmul(multiply: Multiply, _: Mapping[str, Any], a: Array, b: Array) -> Array:
    """Return MatMul: matrices, stacks of them, or vectors."""
    left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    made = multiply(left, right)
    made = made[..., 0] if b.ndim == 1 else made
    return made[..., 0, :] if a.ndim == 1 and b.ndim > 1 else (made[..., 0] if a.ndim == 1 else made)


def gemm(multiply: Multiply, attributes: Mapping[str, Any], a: Array, b: Array, c: Array | None = None) -> Array:
    """Return Gemm: ``alpha * a b + beta * c``."""
    a, b = (a.T if attributes.get("transA") else a), (b.T if attributes.get("transB") else b)
    made = multiply(a, b) * np.float32(attributes.get("alpha", 1.0))
    return made if c is None else made + np.float32(attributes.get("beta", 1.0)) * c


def conv(multiply: Multiply, attributes: Mapping[str, Any], x: Array, w: Array, bias: Array | None = None) -> Array:
    """Return Conv of any rank: x [b, c, ...] and w [outputs, c / groups, ...] as a product over c / groups * kernel.

    What is multiplied is laid out as [b, groups, places, c / groups * kernel].
    """
    rank, groups = x.ndim - 2, attributes.get("group", 1)
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise RunnerError(f"expected pads of a Conv as numbers, found auto_pad {attributes['auto_pad']}")
    pads = attributes.get("pads") or [0] * 2 * rank
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    seen = windows(x, w.shape[2:], attributes.get("strides") or [1] * rank, attributes.get("dilations") or [1] * rank)
    out = seen.shape[2 : 2 + rank]
    taken = seen.reshape(x.shape[0], groups, -1, *out, *w.shape[2:])
    taken = np.moveaxis(taken, 2, 2 + rank).reshape(x.shape[0], groups, int(np.prod(out)), -1)
    kernels = w.reshape(groups, w.shape[0] // groups, -1).swapaxes(1, 2)
    made = multiply(taken, kernels).swapaxes(2, 3).reshape(x.shape[0], w.shape[0], *out)
    return made if bias is None else made + bias.reshape(-1, *[1] * rank)


PRODUCTS: Final[Mapping[str, Callable[..., Array]]] = {"MatMul": matmul, "Gemm": gemm, "Conv": conv}
"""ONNX operator -> its formula."""

OUTPUTS: Final = {"MatMul": -1, "Gemm": -1, "Conv": 0}
"""The axis of the weights that stands for what comes out; of Gemm with ``transB`` it is the other one."""


def computed(kind: str, attributes: Mapping[str, Any], operands: Sequence[Array | None], multiply: Multiply) -> Array:
    """Return a product in float32, its sums taken by ``multiply``."""
    formula = partial(PRODUCTS[kind], multiply, attributes)
    return np.asarray(formula(*operands), np.float32)


def windows(x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """Return what each place of a convolution sees: [b, c, places of each axis, kernel of each axis], a view."""
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    axes = tuple(range(2, x.ndim))
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axes)
    places = tuple(slice(None, None, step) for step in strides)
    taps = tuple(slice(None, None, step) for step in dilations)
    return np.asarray(seen[(slice(None), slice(None), *places, *taps)])
