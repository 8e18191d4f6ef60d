"""The values of a tensor one piece after another: some weights can yield them so, others are read whole and cut."""

from collections.abc import Iterator

import numpy as np

from lwmport.errors import CheckpointError
from lwmport.types import Array, Weights, WeightSpec

PIECE = 1 << 22
"""Bytes of one piece: small beside any tensor that matters, large beside what a piece costs."""


def pieces_of(weights: Weights, name: str) -> Iterator[Array]:
    """Yield the values of one tensor as 1-D contiguous arrays of the dtype and number that its spec promises.

    Raises:
        CheckpointError: the weights do not keep the promise of their specs.
    """
    spec = weights.specs[name]
    pieces: Iterator[Array] = weights.pieces(name) if hasattr(weights, "pieces") else _read(weights, name, spec)
    found = 0
    for piece in pieces:
        if piece.dtype.name != spec.dtype:
            raise CheckpointError(f"{name}: expected {spec.dtype}, found {piece.dtype.name} when reading it")
        found += piece.nbytes
        yield piece
    if found != spec.nbytes:
        raise CheckpointError(f"{name}: expected {spec.nbytes} bytes, found {found} when reading it")


def _read(weights: Weights, name: str, spec: WeightSpec) -> Iterator[Array]:
    array = np.asarray(weights.read(name))
    if array.shape != spec.shape or array.dtype.name != spec.dtype:
        found = f"{array.dtype.name} {array.shape}"
        raise CheckpointError(f"{name}: expected {spec.dtype} {spec.shape}, found {found} when reading it")
    yield from cut(array.astype(array.dtype.newbyteorder("="), order="C", copy=False).reshape(-1))


def cut(flat: Array) -> Iterator[Array]:
    """Yield a 1-D array in pieces of `PIECE` bytes."""
    step = max(1, PIECE // flat.dtype.itemsize)
    for begin in range(0, flat.size, step):
        yield flat[begin : begin + step]
