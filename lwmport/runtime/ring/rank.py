"""One rank at work: its pieces of a prompt, and then every new token over its part of the cache."""

import numpy as np

from lwmport.runtime.ring.channel import Channel, gathered
from lwmport.runtime.ring.model import RingModel
from lwmport.runtime.ring.prefill import Prefill
from lwmport.runtime.ring.running import Running, merged, nothing_seen, packed
from lwmport.runtime.ring.shares import Shares
from lwmport.types import Array


class RingRank:
    """What each rank does. All ranks call the same methods with the same tokens; rank 0 gets the outputs.

    Every rank computes every new token, for the weights are there and it is little work; only the keys that the token
    looks at are shared out. Its own keys and values go to the rank that has the fewest.
    """

    def __init__(self, model: RingModel, channel: Channel) -> None:
        self.model = model
        self.channel = channel

    def prefill(self, ids: Array, mask: Array, codes: Array, chunk: int, keep: int) -> dict[str, Array]:
        """Return on rank 0 the outputs for the last ``keep`` tokens of prompts [b, n]; on others nothing."""
        shares = Shares(tokens=ids.shape[1], ranks=self.channel.ranks, chunk=chunk)
        prefill = Prefill(self.model, self.channel, shares, mask)
        prefill.run(ids, codes)
        self._cache = prefill.cache
        self._held = [shares.count(rank) for rank in range(shares.ranks)]
        self._counts = mask.sum(axis=1)
        return prefill.last(keep)

    def step(self, ids: Array, codes: Array, keep: int) -> dict[str, Array]:
        """Return on rank 0 the outputs for the last ``keep`` of new tokens [b, n]; on others nothing."""
        count, holder = ids.shape[1], self._held.index(min(self._held))
        self._held[holder] += count
        positions = self._counts[:, None] + np.arange(count)
        self._counts = self._counts + count
        holds = holder == self.channel.rank
        if holds:
            self._cache.grow(np.ones(ids.shape, np.int64))
        states = self.model.embedded(ids, codes)
        for layer in range(self.model.layers):
            states = self._layer(layer, states, positions, holds=holds)
        return self.model.logits(np.ascontiguousarray(states[:, -keep:])) if self.channel.rank == 0 else {}

    def _layer(self, layer: int, states: Array, positions: Array, *, holds: bool) -> Array:
        """Return the states of new tokens behind a layer; with ``holds`` this rank keeps their keys and values."""
        query, key, value = self.model.projected(layer, states, positions)
        if holds:
            self._cache.put(layer, key, value)
        own = packed(self._over_cache(layer, query, holds=holds))
        return self.model.behind(layer, states, merged(gathered(self.channel, own)))

    def _over_cache(self, layer: int, query: Array, *, holds: bool) -> Running:
        """Return the state of new queries over this rank's keys; with ``holds`` the last of those are their own.

        All others lie in their past, whatever their places are: the keys of a block are counted from 0.
        """
        state, blocks = nothing_seen(query), list(self._cache.blocks(layer))
        for number, (block, mask) in enumerate(blocks):
            own = query.shape[2] if holds and number == len(blocks) - 1 else 1
            state = self.model.seen(query, state, (block, mask), (mask.shape[1] - own, 0))
        return state
