"""What the integers of a TFLite file stand for: codes times scales, of a channel or of a block, as its schema says."""

from collections.abc import Iterator
from math import prod
from typing import Final

import numpy as np

from lwmport.errors import ArtifactError
from lwmport.runtime.pieces.tflite_tables import Tables
from lwmport.types import Array

STEP: Final = 1 << 22
"""Values that are made at once."""


def integers(tables: Tables) -> list[int]:
    """Return the constants of integers that stand for other numbers."""
    return [place for place in sorted(tables.constants) if _is_scaled(tables, place)]


def numbers(tables: Tables, place: int) -> Iterator[Array]:
    """Yield the numbers of such a constant in order, float32, some rows of its first axis at a time.

    Raises:
        ArtifactError: there are not as many scales as it needs.
    """
    codes = tables.value(place)
    scales = _scales(tables, place, codes.shape)
    step = max(1, STEP // (codes.size // len(codes)))
    for begin in range(0, len(codes), step):
        some = codes[begin : begin + step].astype(np.float32).reshape(-1, scales.shape[1], codes.size // scales.size)
        yield (some * scales[begin : begin + step, :, None]).reshape(-1)


def _is_scaled(tables: Tables, place: int) -> bool:
    tensor = tables.main.tensors[place]
    found = tensor.quantization
    own = found is not None and found.scale is not None and np.size(found.scale) > 0
    return tables.dtype(place) in {"int8", "int4"} and (own or tables.block_scales(place) is not None)


def _scales(tables: Tables, place: int, shape: tuple[int, ...]) -> Array:
    """Return the scales [channels, blocks], float32."""
    found, own = tables.block_scales(place), tables.main.tensors[place].quantization
    channels, each = shape[0], 1
    if found is None:
        scales = np.asarray(own.scale, np.float32)
    else:
        scales, each = tables.value(found).astype(np.float32), prod(shape[1:]) // max(1, int(own.details.blockSize))
    if scales.size != channels * each or own.quantizedDimension:
        raise ArtifactError(
            f"expected {channels * each} scales along the first axis of {tables.names[place]} {list(shape)}, "
            f"found {scales.size} along axis {own.quantizedDimension}"
        )
    return scales.reshape(channels, each)
