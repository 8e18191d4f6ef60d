"""The prompt in a ring: each rank computes its own pieces, and keys and values come past."""

import numpy as np

from lwmport.runtime.ring.cache import RankCache
from lwmport.runtime.ring.channel import Channel
from lwmport.runtime.ring.model import RingModel
from lwmport.runtime.ring.running import Running, nothing_seen
from lwmport.runtime.ring.shares import Shares
from lwmport.types import Array


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
        self._pieces = shares.pieces(channel.rank)
        parts = [mask[:, start:end] for start, end in self._pieces]
        self.cache = RankCache(model.layers, model.dtype, np.concatenate([mask[:, :0], *parts], axis=1))

    def states(self, ids: Array, codes: Array) -> list[Array]:
        """Return the states [b, n, width] of each of this rank's pieces behind the last layer."""
        counted = np.maximum(np.cumsum(self._mask, axis=1) - 1, 0)
        places = [np.ascontiguousarray(counted[:, start:end]) for start, end in self._pieces]
        states = [self._model.embedded(ids[:, start:end], codes[:, start:end]) for start, end in self._pieces]
        for layer in range(self._model.layers):
            self._layer(layer, states, places)
        return states

    def last(self, states: list[Array], keep: int) -> dict[str, Array]:
        """Return on rank 0 the outputs for the last ``keep`` tokens, whichever rank has them; on others nothing."""
        own, found = iter(states), list[dict[str, Array]]()
        for owner, start, end in self._shares.all_pieces():
            held = next(own) if owner == self._channel.rank else None
            skipped = max(self._shares.tokens - keep - start, 0)
            if skipped < end - start:
                part = self._brought(None if held is None else held[:, skipped:], owner, end - start - skipped)
                found += [] if part is None else [self._model.logits(part)]
        return {name: np.concatenate([one[name] for one in found], axis=1) for name in (found[0] if found else ())}

    def _layer(self, layer: int, states: list[Array], places: list[Array]) -> None:
        """Put the states behind a layer in the place of those in front of it."""
        found = [self._model.projected(layer, *pair) for pair in zip(states, places, strict=True)]
        queries = [query for query, _, _ in found]
        block = self.cache.begin(layer, [(key, value) for _, key, value in found], (len(self._mask), *self._model.keys))
        del found
        for number, state in enumerate(self._around(queries, block)):
            states[number] = self._model.behind(layer, states[number], state)

    def _around(self, queries: list[Array], block: Array) -> list[Running]:
        """Return the states of this rank's queries after the blocks of all ranks, its own first.

        The next block is on its way while the one that is here is looked at.
        """
        rank, ranks = self._channel.rank, self._channel.ranks
        states = [nothing_seen(query) for query in queries]
        for turn in range(ranks):
            source, before = (rank - turn) % ranks, (rank - turn - 1) % ranks
            if turn == ranks - 1:
                self._see(queries, states, block, source)
                break
            coming = np.empty((*block.shape[:3], self._shares.count(before), block.shape[4]), block.dtype)
            wait = self._channel.exchange([((rank + 1) % ranks, block)], [((rank - 1) % ranks, coming)])
            self._see(queries, states, block, source)
            wait()
            block = coming
        return states

    def _see(self, queries: list[Array], states: list[Running], block: Array, source: int) -> None:
        """Let this rank's queries see the block of the rank ``source``, but for pieces that are all in their future."""
        for number, (start, end) in enumerate(self._pieces):
            place = 0
            for first, behind in self._shares.pieces(source):
                if first >= end:
                    break
                part, place = block[:, :, :, place : place + behind - first], place + behind - first
                mask = self._mask[:, first:behind]
                states[number] = self._model.seen(queries[number], states[number], (part, mask), (start, first))

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
