"""The prompt in a ring: each rank computes its own pieces, and keys and values come past.

What a runtime returns is copied into arrays that live as long as the prefill. Its own memory would stay taken: each of
the opened parts keeps as much as it ever gave out.
"""

from typing import NamedTuple

import numpy as np

from lwmport.runtime.ring.cache import RankCache
from lwmport.runtime.ring.channel import Channel
from lwmport.runtime.ring.model import RingModel
from lwmport.runtime.ring.running import Running, nothing_seen
from lwmport.runtime.ring.shares import Shares
from lwmport.types import Array


class Own(NamedTuple):
    """A piece of this rank: the first token and the one behind the last, and what it has of them between the layers.

    ``positions`` int64 [b, n]; ``states`` [b, n, width]; ``query`` [b, h, n, d]; ``running`` is what the queries saw.
    """

    start: int
    end: int
    positions: Array
    states: Array
    query: Array
    running: Running


class Prefill:
    """One rank's part of one prefill.

    Args:
        model: the parts.
        channel: the way to the other ranks.
        shares: who has which tokens.
        mask: int64 [b, n] of the whole prompt, 0 for padding.

    Attributes:
        cache: the keys and values of this rank's tokens, when all layers are done.
    """

    def __init__(self, model: RingModel, channel: Channel, shares: Shares, mask: Array) -> None:
        self._model, self._channel, self._shares, self._mask = model, channel, shares, mask
        parts = [mask[:, start:end] for start, end in shares.pieces(channel.rank)]
        self.cache = RankCache(model.layers, model.dtype, np.concatenate([mask[:, :0], *parts], axis=1))
        self._own: list[Own] = []

    def run(self, ids: Array, codes: Array) -> None:
        """Compute this rank's tokens through every layer."""
        counted = np.maximum(np.cumsum(self._mask, axis=1) - 1, 0)
        for start, end in self._shares.pieces(self._channel.rank):
            query = np.empty((len(ids), *self._model.queries(end - start)), np.float32)
            states = self._model.embedded(ids[:, start:end], codes[:, start:end]).copy()
            places = np.ascontiguousarray(counted[:, start:end])
            self._own.append(Own(start, end, places, states, query, nothing_seen(query)))
        passing = [np.empty(self._block_size(), self._model.dtype) for _ in range(min(2, self._channel.ranks - 1))]
        for layer in range(self._model.layers):
            self._around(self._projected(layer), passing)
            for own in self._own:
                own.states[...] = self._model.behind(layer, own.states, own.running)
                own.running.forget()

    def last(self, keep: int) -> dict[str, Array]:
        """Return on rank 0 the outputs for the last ``keep`` tokens, whichever rank has them; on others nothing."""
        mine, found = iter(self._own), list[dict[str, Array]]()
        for owner, start, end in self._shares.all_pieces():
            held = next(mine).states if owner == self._channel.rank else None
            skipped = max(self._shares.tokens - keep - start, 0)
            if skipped < end - start:
                part = self._brought(None if held is None else held[:, skipped:], owner, end - start - skipped)
                found += [] if part is None else [self._model.logits(part)]
        return {name: np.concatenate([one[name] for one in found], axis=1) for name in (found[0] if found else ())}

    def _projected(self, layer: int) -> Array:
        """Fill in the queries of a layer, and return the block of its keys and values, which the cache has."""
        block, start = self.cache.begin(layer, (len(self._mask), *self._model.keys)), 0
        for own in self._own:
            own.query[...], *pair = self._model.projected(layer, own.states, own.positions)
            end = start + own.end - own.start
            block[:, :, :, start:end], start = pair, end
        return block

    def _around(self, block: Array, passing: list[Array]) -> None:
        """Let this rank's queries see the blocks of all ranks, its own first.

        The next block is on its way into one of the arrays ``passing`` while the one that is here is looked at.
        """
        rank, ranks = self._channel.rank, self._channel.ranks
        for turn in range(ranks - 1):
            source, before = (rank - turn) % ranks, (rank - turn - 1) % ranks
            shape = (*block.shape[:3], self._shares.count(before), block.shape[4])
            coming = passing[turn % 2][: np.prod(shape)].reshape(shape)
            wait = self._channel.exchange([((rank + 1) % ranks, block)], [((rank - 1) % ranks, coming)])
            self._see(block, source)
            wait()
            block = coming
        self._see(block, (rank + 1) % ranks)

    def _see(self, block: Array, source: int) -> None:
        """Let this rank's queries see the block of the rank ``source``, but for pieces that are all in their future."""
        for own in self._own:
            place = 0
            for first, behind in self._shares.pieces(source):
                if first >= own.end:
                    break
                held = block[:, :, :, place : place + behind - first], self._mask[:, first:behind]
                place += behind - first
                own.running.become(self._model.seen(own.query, own.running, held, (own.start, first)))

    def _brought(self, part: Array | None, owner: int, count: int) -> Array | None:
        """Return on rank 0 the states of a piece that the rank ``owner`` has; None on other ranks."""
        if self._channel.rank == 0:
            if part is None:
                part = np.empty((len(self._mask), count, self._model.width), np.float32)
                self._channel.exchange([], [(owner, part)])()
            return np.ascontiguousarray(part)
        if part is not None:
            self._channel.exchange([(0, np.ascontiguousarray(part))], [])()
        return None

    def _block_size(self) -> int:
        """Return how many numbers the largest block of a rank has."""
        heads, width = self._model.keys
        tokens = max(self._shares.count(rank) for rank in range(self._shares.ranks))
        return 2 * len(self._mask) * heads * tokens * width
