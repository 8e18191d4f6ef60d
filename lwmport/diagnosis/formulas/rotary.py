"""Rotary position embeddings of ONNX and of ONNX Runtime."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.reading import given, plain, setting
from lwmport.types import Array


def tables_of(side: Side) -> tuple[int, int, int]:
    """Return the places of positions, cosines and sines among the inputs."""
    return (1, 2, 3) if "microsoft" in side.type else (3, 1, 2)


def rotary(side: Side, x: Array, *_: Array) -> Array:
    """Return the pairs of each head turned by the angle of their position.

    ``[batch, heads, sequence, size]``, or ``[batch, sequence, heads * size]``; a pair is two neighbours where
    ``interleaved`` is 1, else an element of the first half of a head and its counterpart in the second.

    Raises:
        ValueError: a table is not known, or only a part of a head is turned.
    """
    places, cosines, sines = (given(side, at) for at in tables_of(side))
    if cosines is None or sines is None or setting(side, "rotaryembeddingdim", default=0):
        raise ValueError("a rotary embedding that is not known")
    size = 2 * cosines.shape[-1]
    batch, sequence = x.shape[0], x.shape[-2]
    heads = x if x.ndim == 4 else x.reshape(batch, sequence, -1, size).transpose(0, 2, 1, 3)
    cos, sin = (_rows(table, places, sequence)[:, None] for table in (cosines, sines))
    turned = turn(heads, cos.astype(np.float64), sin.astype(np.float64), bool(setting(side, "interleaved", default=0)))
    return turned if x.ndim == 4 else turned.transpose(0, 2, 1, 3).reshape(x.shape)


def turn(x: Array, cos: Array, sin: Array, interleaved: bool) -> Array:  # noqa: FBT001 - the operator's own setting
    """Return pairs of the last axis turned by angles."""
    half = x.shape[-1] // 2
    one, other = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    parts = (one * cos - other * sin, one * sin + other * cos)
    if interleaved:
        return np.stack(parts, axis=-1).reshape(x.shape)
    return np.concatenate(parts, axis=-1)


def _rows(table: Array, places: Array | None, sequence: int) -> Array:
    """Return the rows for each text and position, ``[batch or 1, sequence, size / 2]``."""
    if places is None:
        return table if table.ndim == 3 else table[None]
    if places.size == 1 and sequence > 1:
        places = np.arange(sequence)[None] + int(np.ravel(places)[0])
    return np.asarray(table[places.astype(np.int64).reshape(-1, sequence)])


def is_rotary(side: Side) -> bool:
    """Return whether the operator is a rotary embedding."""
    return plain(side.type) == "rotaryembedding"


ROTARY: Final[Mapping[str, Callable[..., Array]]] = MappingProxyType({"rotaryembedding": rotary})
