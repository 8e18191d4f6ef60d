"""Attention a block at a time: memory grows with the length of the sequence, never with its square.

A query keeps three things about the keys that it has seen: the numerator, the denominator and the largest score. A new
block rescales the old ones by exp(old largest - new largest). Source: Rabe and Staats, "Self-attention Does Not Need
O(n^2) Memory", arXiv:2112.05682, section 2; Liu and Abbeel, arXiv:2305.19370, equation 6.

Everything is float32. Layout is [batch, heads, tokens, head_dim]; masks and segments are [batch, tokens]. Neighbouring
heads of queries may share one head of keys and values.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lwmport.models.attention.bias import is_bias, later_bias
from lwmport.types import Array

FORMS: Final = ("full", "loop", "unrolled")
"""All scores at once; a loop over blocks; the blocks as a plain list, those above the diagonal left out."""

MASKED: Final = float(np.finfo(np.float32).min)
"""The score of a key that a query may not see. Finite, as in LWM: a query that sees nothing gets a mean, not NaN."""

CONSTANT: Final = 2**20
"""Largest mask that is a constant of the program; a larger one is computed when the program runs."""


@dataclass(frozen=True, kw_only=True)
class AttentionPlan:
    """How attention is computed: one of `FORMS`, its block sizes (0: all in one), the ranks of an unrolled ring."""

    form: str = "full"
    query_chunk: int = 0
    key_chunk: int = 0
    ring: int = 1


class State(NamedTuple):
    """What a query keeps: numerator [b, h, q, d], denominator [b, h, q], maximum [b, h, q]."""

    numerator: Any
    denominator: Any
    maximum: Any


class Slice(NamedTuple):
    """Consecutive tokens: heads (keys and values, or queries alone), their mask and segments, where they begin.

    A mask is of truth values, or a bias: numbers that are added to the scores of its keys (static lengths only).
    """

    heads: tuple[Any, ...]
    mask: Any = None
    segments: Any = None
    offset: Any = 0

    @property
    def length(self) -> Any:
        """Number of tokens."""
        return self.heads[0].shape[2]

    def part(self, start: int, size: int) -> "Slice":
        """Return ``size`` tokens from ``start`` on, or those that are left."""
        end = min(start + size, self.length)
        mask, segments = (None if array is None else array[:, start:end] for array in (self.mask, self.segments))
        return Slice(tuple(array[:, :, start:end] for array in self.heads), mask, segments, self.offset + start)


def initial_state(query: jax.Array) -> State:
    """Return the state of queries [b, h, q, d] that have seen nothing."""
    none = jnp.zeros(query.shape[:3], jnp.float32)
    return State(jnp.zeros(query.shape, jnp.float32), none, jnp.full_like(none, MASKED))


def result(state: State) -> jax.Array:
    """Return the attention [b, h, q, d] of a state that has seen every key."""
    return state.numerator / state.denominator[..., None]


def visible(queries: Slice, keys: Slice) -> Any:
    """Return which keys each query may see, bool [b or 1, 1, q, k], or None for all.

    A key is visible unless it is padding, comes after the query, or lies in another segment.
    """
    tests = [] if keys.mask is None else [(keys.mask != 0)[:, None, None, :]]
    if not _is_below_diagonal(queries, keys):
        tests.append(_not_later(queries, keys))
    if keys.segments is not None:
        tests.append((queries.segments[:, :, None] == keys.segments[:, None, :])[:, None])
    found = None
    for test in tests:
        found = test if found is None else found & test
    return found


def products(queries: jax.Array, keys: jax.Array) -> jax.Array:
    """Return the products [b, h, q, k] of queries [b, h, q, d] and keys [b, n, k, d], n a divisor of h.

    Heads that share keys stand behind each other as if they were more queries: no key is repeated, and no rank grows.
    """
    found = jnp.einsum("bhqd,bhkd->bhqk", _grouped(queries, keys.shape[1]), keys)
    return found.reshape(*queries.shape[:3], keys.shape[2]) if queries.shape[1] != keys.shape[1] else found


def weighted(weights: jax.Array, values: jax.Array) -> jax.Array:
    """Return the sums [b, h, q, d] of values [b, n, k, d] by weights [b, h, q, k], n a divisor of h."""
    found = jnp.einsum("bhqk,bhkd->bhqd", _grouped(weights, values.shape[1]), values)
    return found.reshape(*weights.shape[:3], values.shape[3]) if weights.shape[1] != values.shape[1] else found


def _grouped(array: jax.Array, heads: int) -> jax.Array:
    """Return [b, h, q, x] as [b, heads, h / heads * q, x]."""
    batch, own, length, size = array.shape
    return array if own == heads else array.reshape(batch, heads, own // heads * length, size)


def scores(queries: Slice, keys: Slice) -> jax.Array:
    """Return the float32 scores [b, h, q, k] of scaled queries, `MASKED` or with a bias where a key is not visible."""
    found = products(queries.heads[0], keys.heads[0])
    if is_bias(keys.mask):
        return found + _bias(queries, keys)
    seen = visible(queries, keys)
    return found if seen is None else jnp.where(seen, found, MASKED)


def _bias(queries: Slice, keys: Slice) -> Any:
    """Return what is added to scores where the mask is a bias, [b, 1, 1 or q, k]; there are no segments then."""
    found = keys.mask[:, None, None, :]
    if _is_below_diagonal(queries, keys):
        return found
    return jnp.minimum(found, later_bias(queries.length, keys.length, queries.offset - keys.offset))


def block_step(queries: Slice, keys: Slice, state: State | None) -> State:
    """Return the state after one more block of keys and values; None is the state before the first."""
    found = scores(queries, keys)
    maximum = jnp.max(found, axis=-1)
    if state is not None:
        maximum = jnp.maximum(state.maximum, maximum)
    weights = jnp.exp(found - maximum[..., None])
    numerator = weighted(weights, keys.heads[1])
    denominator = jnp.sum(weights, axis=-1)
    if state is not None:
        correction = jnp.exp(state.maximum - maximum)
        numerator = state.numerator * correction[..., None] + numerator
        denominator = state.denominator * correction + denominator
    return State(numerator, denominator, maximum)


def unrolled(queries: Slice, keys: Slice, state: State | None, plan: AttentionPlan) -> State:
    """Return the state after all keys, as one block step after another. Lengths are static.

    Where the offsets are static too, blocks wholly above the diagonal are left out.
    """
    parts = []
    for start in range(0, queries.length, plan.query_chunk or queries.length):
        part = queries.part(start, plan.query_chunk or queries.length)
        end = start + part.length
        held = None if state is None else State(*(array[:, :, start:end] for array in state))
        parts.append(_all_keys(part, keys, held, plan.key_chunk or keys.length))
    return State(*(jnp.concatenate(arrays, axis=2) for arrays in zip(*parts, strict=True)))


def _all_keys(queries: Slice, keys: Slice, state: State | None, chunk: int) -> State:
    for start in range(0, keys.length, chunk):
        block = keys.part(start, chunk)
        if not _is_above_diagonal(queries, block):
            state = block_step(queries, block, state)
    return initial_state(queries.heads[0]) if state is None else state


def _not_later(queries: Slice, keys: Slice) -> Any:
    """Return which keys do not come after each query, bool [1, 1, q, k]."""
    sizes = (queries.length, keys.length, queries.offset, keys.offset)
    if all(isinstance(size, int) for size in sizes) and queries.length * keys.length <= CONSTANT:
        return _triangle(queries.length, keys.length, queries.offset - keys.offset)
    rows = queries.offset + jax.lax.iota(jnp.int32, queries.length)
    columns = keys.offset + jax.lax.iota(jnp.int32, keys.length)
    return (rows[:, None] >= columns[None, :])[None, None]


@lru_cache(maxsize=64)
def _triangle(rows: int, columns: int, ahead: int) -> Array:
    """Return the mask of blocks whose queries begin ``ahead`` of their keys: one array, so that programs share it."""
    return (np.arange(rows)[:, None] + ahead >= np.arange(columns))[None, None]


def _is_above_diagonal(queries: Slice, keys: Slice) -> bool:
    """Return whether it is known that every key comes after every query."""
    ends = (queries.offset, queries.length, keys.offset)
    return all(isinstance(end, int) for end in ends) and queries.offset + queries.length - 1 < keys.offset


def _is_below_diagonal(queries: Slice, keys: Slice) -> bool:
    """Return whether it is known that no key comes after any query."""
    ends = (queries.offset, keys.offset, keys.length)
    return all(isinstance(end, int) for end in ends) and keys.offset + keys.length - 1 <= queries.offset
