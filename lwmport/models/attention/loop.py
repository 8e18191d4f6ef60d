"""Attention as a loop over blocks: the program has one body, whatever the length, which may be symbolic."""

from typing import Any

import jax
import jax.numpy as jnp

from lwmport.models.attention.blocks import AttentionPlan, Slice, State, block_step, initial_state


def loop(queries: Slice, keys: Slice, state: State | None, plan: AttentionPlan) -> State:
    """Return the state after all keys: a scan over query blocks, in it one over key blocks that skips the future."""
    rows, columns = _chunk(queries.length, plan.query_chunk), _chunk(keys.length, plan.key_chunk)
    key_blocks = _key_blocks(keys, columns)
    held = initial_state(queries.heads[0]) if state is None else state

    def one_row(index: Any, row: Any) -> tuple[Any, State]:
        heads, segments, state = row
        block = Slice((heads,), segments=segments, offset=queries.offset + index * rows)
        return index + 1, _all_keys(block, key_blocks, state, keys.offset)

    parts = (_blocks(queries.heads[0], rows, 2), _flat_blocks(queries.segments, rows), _state_blocks(held, rows))
    _, found = jax.lax.scan(one_row, jnp.int32(0), parts)
    return State(*(_joined(array, queries.length) for array in found))


def _all_keys(queries: Slice, blocks: Any, state: State, offset: Any) -> State:
    """Return the state of one query block after every key block."""
    chunk = blocks[0].shape[3]
    last = queries.offset + (queries.length - 1)

    def one_column(carry: tuple[Any, State], column: Any) -> tuple[tuple[Any, State], None]:
        index, state = carry
        key, value, mask, segments = column
        start = offset + index * chunk
        block = Slice((key, value), mask, segments, start)
        state = jax.lax.cond(last >= start, lambda held: block_step(queries, block, held), lambda held: held, state)
        return (index + 1, state), None

    (_, state), _ = jax.lax.scan(one_column, (jnp.int32(0), state), blocks)
    return state


def _key_blocks(keys: Slice, chunk: Any) -> tuple[Any, Any, Any, Any]:
    """Return keys, values, mask and segments by block; what fills up the last block is masked."""
    key, value = (_blocks(array, chunk, 2) for array in keys.heads)
    mask = keys.mask
    if mask is None and not _divides(chunk, keys.length):
        mask = jnp.ones((keys.heads[0].shape[0], keys.length), jnp.int32)
    return key, value, _flat_blocks(mask, chunk), _flat_blocks(keys.segments, chunk)


def _chunk(length: Any, chunk: int) -> Any:
    """Return the block size: no more than the length, and the length itself for 0."""
    if not chunk:
        return length
    return min(chunk, length) if isinstance(length, int) else chunk


def _divides(chunk: Any, length: Any) -> bool:
    return bool(chunk == length) or (isinstance(length, int) and length % chunk == 0)


def _blocks(array: jax.Array, chunk: Any, axis: int) -> jax.Array:
    """Return the array with ``axis`` cut into blocks, which come first: [n, ..., chunk, ...], filled up with zeros."""
    length = array.shape[axis]
    count = 1 if bool(chunk == length) else (length + chunk - 1) // chunk
    if not _divides(chunk, length):
        array = jnp.pad(array, [(0, count * chunk - length if at == axis else 0) for at in range(array.ndim)])
    shape = (*array.shape[:axis], count, chunk, *array.shape[axis + 1 :])
    return jnp.moveaxis(array.reshape(shape), axis, 0)


def _flat_blocks(array: Any, chunk: Any) -> Any:
    return None if array is None else _blocks(array, chunk, 1)


def _state_blocks(state: State, chunk: Any) -> State:
    return State(*(_blocks(array, chunk, 2) for array in state))


def _joined(blocks: jax.Array, length: Any) -> jax.Array:
    """Return [b, h, length, ...] of [n, b, h, chunk, ...]: the blocks behind each other, the filling cut off."""
    count, chunk = blocks.shape[0], blocks.shape[3]
    array = jnp.moveaxis(blocks, 0, 2)
    array = array.reshape(*array.shape[:2], count * chunk, *array.shape[4:])
    return array if _divides(chunk, length) else array[:, :, :length]
