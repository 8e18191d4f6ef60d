"""Causal attention in every form that a plan can name: all at once, in blocks, or in a ring. All give the same values.

Queries are the last tokens of the keys: with a cache of ``past`` tokens the first query stands at ``past``. Padding is
on the left and given by a mask. Layout is [batch, heads, tokens, head_dim], computed in float32.
"""

from typing import Any, Final

import jax
import jax.numpy as jnp

from lwmport.errors import UsageError
from lwmport.models.attention.blocks import FORMS, AttentionPlan, Slice, State, block_step, result, unrolled
from lwmport.models.attention.loop import loop
from lwmport.models.llama.config import LlamaConfig
from lwmport.registry import check_known

LOOPED_QUERIES: Final = 0
"""Queries in a block where their number is dynamic: all, because a lone one must not be filled up to a block."""


def positions(attention_mask: jax.Array) -> jax.Array:
    """Return the int32 position of each token of a left-padded mask [b, s]: cumsum(mask) - 1, and 0 in the padding."""
    return jnp.maximum(jnp.cumsum(attention_mask != 0, axis=-1, dtype=jnp.int32) - 1, 0)


def plan_for(config: LlamaConfig, queries: Any, form: str | None = None, ring: int = 1) -> AttentionPlan:
    """Return the plan of a configuration for a number of queries, which may be symbolic.

    LWM's own rule where no form is asked for: in blocks, if ``scan_attention`` is set and one block does not hold all.

    Raises:
        UsageError: no such form.
    """
    static = isinstance(queries, int)
    widest = max(config.scan_query_chunk_size, config.scan_key_chunk_size)
    blocks = config.scan_attention and not (static and queries <= widest)
    form = form or ("loop" if blocks else "full")
    check_known("form of attention", form, FORMS)
    if form == "full":
        return AttentionPlan()
    chunk = config.scan_query_chunk_size if static else LOOPED_QUERIES
    return AttentionPlan(form=form, query_chunk=chunk, key_chunk=config.scan_key_chunk_size, ring=ring)


def causal_attention(
    queries: jax.Array, keys: jax.Array, values: jax.Array, mask: Any, plan: AttentionPlan, segments: Any = None
) -> jax.Array:
    """Return the attention [b, h, s, d] of queries [b, h, s, d] over keys and values [b, n, t, d], s <= t.

    n divides h: neighbouring heads of queries share keys and values.

    Args:
        queries: rotated, not scaled; they are tokens t - s to t.
        keys: rotated.
        values: what is averaged.
        mask: [b, t], 0 where a token is padding, or None.
        plan: how to compute it.
        segments: [b, t] numbers of packed sequences, which do not see each other, or None.
    """
    offset = keys.shape[2] - queries.shape[2]
    own = None if segments is None else segments[:, offset:]
    rows = Slice((scaled(queries),), segments=own, offset=offset)
    columns = Slice((as_float32(keys), as_float32(values)), mask, segments, 0)
    found = _ring(rows, columns, plan) if plan.ring > 1 else result(attend(rows, columns, None, plan))
    return found.astype(queries.dtype)


def attend(queries: Slice, keys: Slice, state: State | None, plan: AttentionPlan) -> State:
    """Return the state of scaled queries after seeing all keys of a slice, as the plan says."""
    if plan.form == "full":
        return block_step(queries, keys, state)
    return (unrolled if plan.form == "unrolled" else loop)(queries, keys, state, plan)


def ring_step(  # noqa: PLR0913, PLR0917  # one step's whole state, as a rank holds it
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    numerator: jax.Array,
    denominator: jax.Array,
    maximum: jax.Array,
    query_offset: Any,
    key_offset: Any,
    *,
    mask: Any = None,
    plan: AttentionPlan = AttentionPlan(),  # noqa: B008  # frozen
) -> State:
    """Return the state of a rank's queries after attending to the keys and values that it holds now.

    Args:
        query: rotated, not scaled, [b, h, q, d].
        key: rotated, [b, n, k, d], n a divisor of h.
        value: [b, n, k, d].
        numerator: float32 [b, h, q, d], zeros before the first step (`initial_state`).
        denominator: float32 [b, h, q], zeros before the first step.
        maximum: float32 [b, h, q], `MASKED` before the first step.
        query_offset: which token of the whole sequence the first query is.
        key_offset: which token of the whole sequence the first key is.
        mask: [b, k], 0 where a key is padding, or None.
        plan: how the slice is attended to.
    """
    queries = Slice((scaled(query),), offset=query_offset)
    keys = Slice((as_float32(key), as_float32(value)), mask, None, key_offset)
    return attend(queries, keys, State(numerator, denominator, maximum), plan)


def scaled(queries: jax.Array) -> jax.Array:
    """Return float32 queries divided by the root of their length, once, rather than every score."""
    return as_float32(queries) * (queries.shape[-1] ** -0.5)


def as_float32(array: jax.Array) -> jax.Array:
    """Return the array in float32, in which scores are computed whatever the model's dtype."""
    return array.astype(jnp.float32)


def _ring(queries: Slice, keys: Slice, plan: AttentionPlan) -> jax.Array:
    """Return the attention as ``plan.ring`` ranks would compute it, each on its slice, in the ring's own order."""
    check_ring(queries.length, keys.length, plan.ring)
    size, found = queries.length // plan.ring, []
    for rank in range(plan.ring):
        own = queries.part(rank * size, size)
        state = attend(own, keys.part(rank * size, size), None, plan)
        for step in range(1, rank + 1):  # slices behind this rank's own are all in its future
            state = attend(own, keys.part((rank - step) * size, size), state, plan)
        found.append(result(state))
    return jnp.concatenate(found, axis=2)


def check_ring(queries: Any, keys: Any, ranks: int) -> None:
    """Return if a ring can share out this many queries and keys.

    Raises:
        UsageError: there is a cache, or the ranks do not divide the tokens.
    """
    if queries != keys:
        raise UsageError(f"expected as many queries as keys in a ring, found {queries} and {keys}; leave out the cache")
    if not isinstance(queries, int) or queries % ranks:
        raise UsageError(f"expected a length that {ranks} ranks divide, found {queries}")
