"""Pairs of products in 16 bits, as x86 without VNNI sums them: which of them saturate.

VPMADDUBSW multiplies unsigned codes of values with signed codes of weights, and adds two neighbours in 16 bits,
saturated. ONNX Runtime's kernels for AVX2 and AVX-512 do so (mlas/lib/platform.cpp: MlasGemmU8S8KernelAvx2, and
...Avx512Core; amd64/SymQgemmU8KernelAvx512.asm), and it makes unsigned codes of signed ones. Of a convolution the
neighbours are channels: products are laid out [kernel, channels].
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from lwmport.runtime.emulated.products import windows
from lwmport.types import Array
from lwmport.validators.integers import LARGEST_PAIR

SAMPLE: Final = 128
"""Rows of what is multiplied that are looked at, spread evenly: a pair of weights meets that many values."""

TOP: Final = 255
"""The largest unsigned code."""


class Pairs(NamedTuple):
    """The share of pairs whose sum is beyond 16 bits, and the largest magnitude; 0 where no weights allow one."""

    share: float
    largest: float


NONE: Final = Pairs(0.0, 0.0)


def in_a_product(values: Array, weights: Array) -> Pairs:
    """Return the pairs of a product: unsigned codes [..., terms] with signed codes of weights [outputs, terms]."""
    return _pairs(_some(values.reshape(-1, values.shape[-1])), weights)


def in_a_convolution(values: Array, weights: Array, attributes: Mapping[str, Any], zero: int) -> Pairs:
    """Return the pairs of a convolution: unsigned codes [b, c, ...] with signed codes of weights [outputs, c, ...].

    Args:
        values: the codes.
        weights: those of the kernel.
        attributes: of ONNX's Conv; one with groups or automatic padding is not looked at.
        zero: the code that the padding has.
    """
    if attributes.get("group", 1) != 1 or attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return NONE
    rank = values.ndim - 2
    pads = attributes.get("pads") or [0] * 2 * rank
    sides = [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)]
    padded = np.pad(values, sides, constant_values=zero)
    seen = windows(
        padded, weights.shape[2:], attributes.get("strides") or [1] * rank, attributes.get("dilations") or [1] * rank
    )
    places = (seen.shape[0], *seen.shape[2 : 2 + rank])
    at = np.unravel_index(_spread(int(np.prod(places))), places)
    rows = np.stack([seen[(item, slice(None), *place)] for item, *place in zip(*at, strict=True)])
    return _pairs(_channels_last(rows), _channels_last(weights))


def _channels_last(array: Array) -> Array:
    """Return [rows, channels, ...] as [rows, terms], the channels of one place of the kernel behind each other."""
    return np.moveaxis(array, 1, -1).reshape(len(array), -1)


def _pairs(rows: Array, weights: Array) -> Pairs:
    """Return the pairs of rows [rows, terms] with weights [outputs, terms], neighbours together."""
    sides = [(0, 0), (0, rows.shape[1] % 2)]
    own = np.pad(weights, sides).astype(np.int32).reshape(len(weights), -1, 2)
    most = TOP * np.maximum(np.maximum(own, 0).sum(axis=2), -np.minimum(own, 0).sum(axis=2))
    able = (most > LARGEST_PAIR).any(axis=0)
    if not able.any():
        return NONE
    own, count, largest = own[:, able], 0, 0
    for row in np.pad(rows, sides).astype(np.int32).reshape(len(rows), -1, 2)[:, able]:
        sums = (own * row).sum(axis=2)
        count += int(np.count_nonzero((sums > LARGEST_PAIR) | (sums < -LARGEST_PAIR - 1)))
        largest = max(largest, int(np.abs(sums).max()))
    return Pairs(count / (len(rows) * len(weights) * able.size), float(largest))


def _some(rows: Array) -> Array:
    return rows[_spread(len(rows))]


def _spread(count: int) -> Array:
    """Return up to `SAMPLE` of so many places, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64))
