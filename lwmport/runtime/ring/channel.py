"""What ranks send to each other: arrays, by one call that sends and receives at once."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from lwmport.types import Array

Wait: TypeAlias = Callable[[], None]
Addressed: TypeAlias = Sequence[tuple[int, Array]]
"""A rank, and the array for it or from it. Arrays are contiguous; their shapes are known on both sides."""


class Channel(Protocol):
    """The way from one rank to all others.

    Attributes:
        name: how the arrays travel, for a reader.
        rank: this process, from 0.
        ranks: how many there are.
    """

    name: str
    rank: int
    ranks: int

    def exchange(self, out: Addressed, into: Addressed, *, idle: bool = False) -> Wait:
        """Begin to send arrays and to fill others with what is sent to this rank; return what waits for all of it.

        ``idle`` is for what may take as long as it likes, because nothing was asked of the other side yet. What waits
        raises `LostRankError` where a rank is gone, or does not answer in time.
        """

    def close(self) -> None:
        """Give the way up: ranks that wait for this one then learn that it is gone. A second call does nothing."""


class Alone:
    """The channel of a rank that has no others."""

    name = "one process"
    rank = 0
    ranks = 1

    def exchange(self, out: Addressed, into: Addressed, *, idle: bool = False) -> Wait:  # noqa: ARG002 - the protocol's
        """Return what waits for nothing."""
        return lambda: None

    def close(self) -> None:
        """Do nothing."""


def others(channel: Channel) -> list[int]:
    """Return every rank but this one."""
    return [rank for rank in range(channel.ranks) if rank != channel.rank]


def shared(channel: Channel, array: Array, *, idle: bool = False) -> Array:
    """Return the array that rank 0 has, on every rank; the others give one of its shape and dtype, which is filled."""
    if channel.rank == 0:
        channel.exchange([(rank, array) for rank in others(channel)], [])()
    else:
        channel.exchange([], [(0, array)], idle=idle)()
    return array


def gathered(channel: Channel, array: Array) -> list[Array]:
    """Return the arrays of all ranks, in their order; they have one shape."""
    found = [array if rank == channel.rank else np.empty_like(array) for rank in range(channel.ranks)]
    channel.exchange([(rank, array) for rank in others(channel)], [(rank, found[rank]) for rank in others(channel)])()
    return found


def meet(channel: Channel) -> None:
    """Return when every rank has come so far, however long that takes."""
    mark = np.zeros(1, np.int64)
    if channel.rank == 0:
        channel.exchange([], [(rank, mark.copy()) for rank in others(channel)], idle=True)()
    else:
        channel.exchange([(0, mark)], [])()
    shared(channel, mark, idle=True)
