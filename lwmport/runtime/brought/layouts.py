"""Arrays in the axis orders that devices keep them in, brought into the order of a model.

Source of the orders: CANN's documents of its formats. C1 is the channels in blocks of C0; the last block is padded.
FRACTAL_NZ has [..., N/n, M/m, m, n] for [..., M, N], padded likewise.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.errors import ArtifactError
from lwmport.types import Array

LAST: Final = "NHWC"
EITHER: Final = "NHWC or the model's"
"""Four sizes in either order: the tool has turned some of its tensors, and does not tell which."""

MODEL: Final = frozenset({"", "NCHW", "ND", "NCDHW", "NC", "CN", "NCL", "RESERVED", "NULL"})
"""Layouts in which values lie in the order of an ONNX model."""


def fitted(array: Array, shape: tuple[int, ...], layout: str = "", origin: str = "") -> Array:
    """Return the values of a device as a model has them.

    Args:
        array: as the device had it, or all values in a row.
        shape: sizes in the model.
        layout: the device's order of axes; empty where it is the model's, or nobody told.
        origin: the model's, ``NCHW`` or ``NHWC``; empty where nobody told.

    Raises:
        ArtifactError: the sizes do not fit, or fit in two ways that give other values.
    """
    found: list[Array] = []
    for one in _readings(array, shape, layout, origin):
        if not any(np.array_equal(one, other, equal_nan=one.dtype.kind == "f") for other in found):
            found.append(one)
    if len(found) == 1:
        return found[0]
    what = f"{array.dtype}{list(array.shape)}{f' in {layout}' if layout else ''}"
    if found:
        raise ArtifactError(f"expected {what} to fit {list(shape)} in one way, found {len(found)}; save it in NCHW")
    raise ArtifactError(f"expected values for {list(shape)}, found {what}")


def _readings(array: Array, shape: tuple[int, ...], layout: str, origin: str) -> Iterator[Array]:
    if layout in BLOCKED:
        for order in (origin,) if origin else ("NCHW", "NHWC"):
            yield from _cut(BLOCKED[layout](array, order), shape)
        return
    last = layout in (LAST, EITHER)
    if not last and layout not in MODEL:
        return
    if last and array.ndim == 4 and origin != LAST:
        turned = np.moveaxis(array, 3, 1)
        if turned.shape == shape:
            yield turned
            if layout == LAST and origin:
                return
    if _same(array.shape, shape) and not (last and array.ndim == 1 < len(shape)):
        yield array.reshape(shape)


def _same(found: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Return whether only sizes of one differ, or all values lie in a row."""
    squeezed = [size for size in found if size != 1] == [size for size in shape if size != 1]
    return squeezed or (len(found) == 1 and found[0] == math.prod(shape))


@dataclass(frozen=True)
class _Joined:
    """An array whose blocks are put together, and the axes that were blocked, counted from the end -> block."""

    array: Array
    blocks: dict[int, int]


def _cut(made: _Joined | None, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield an array without the padding of its blocks, where that is all that it has more than the model."""
    if made is None:
        return
    rank = max(made.array.ndim, len(shape))
    array = made.array.reshape((1,) * (rank - made.array.ndim) + made.array.shape)
    wanted = (1,) * (rank - len(shape)) + shape
    padding = [have - size for have, size in zip(array.shape, wanted, strict=True)]
    if all(0 <= more < made.blocks.get(axis - rank, 1) for axis, more in enumerate(padding)):
        yield array[tuple(slice(size) for size in wanted)].reshape(shape)


def _blocks_of_channels(array: Array, order: str) -> _Joined | None:
    """[N, C1, H, W, C0] as [N, C, H, W] or [N, H, W, C]."""
    if array.ndim != 5:
        return None
    n, c1, h, w, c0 = array.shape
    if order == "NHWC":
        return _Joined(array.transpose(0, 2, 3, 1, 4).reshape(n, h, w, c1 * c0), {-1: c0})
    return _Joined(array.transpose(0, 1, 4, 2, 3).reshape(n, c1 * c0, h, w), {-3: c0})


def _blocks_of_channels_and_depth(array: Array, order: str) -> _Joined | None:
    """[N, D, C1, H, W, C0] as [N, C, D, H, W] or [N, D, H, W, C]."""
    if array.ndim != 6:
        return None
    n, d, c1, h, w, c0 = array.shape
    if order == "NHWC":
        return _Joined(array.transpose(0, 1, 3, 4, 2, 5).reshape(n, d, h, w, c1 * c0), {-1: c0})
    return _Joined(array.transpose(0, 2, 5, 1, 3, 4).reshape(n, c1 * c0, d, h, w), {-4: c0})


def _fractal(array: Array, _order: str) -> _Joined | None:
    """[..., N1, M1, M0, N0] as [..., M, N]."""
    if array.ndim < 4:
        return None
    *rest, n1, m1, m0, n0 = array.shape
    return _Joined(np.moveaxis(array, -4, -2).reshape(*rest, m1 * m0, n1 * n0), {-1: n0, -2: m0})


BLOCKED: Final[dict[str, Callable[[Array, str], _Joined | None]]] = {
    "NC1HWC0": _blocks_of_channels,
    "NC1HWC0_C04": _blocks_of_channels,
    "NDC1HWC0": _blocks_of_channels_and_depth,
    "FRACTAL_NZ": _fractal,
}
"""Layouts with padded blocks -> what puts their axes together, padding included."""
