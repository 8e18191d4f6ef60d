"""Every form of attention against numpy in float64, and what none of them may build."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.models.attention.blocks import AttentionPlan, initial_state, result
from lwmport.models.attention.causal import causal_attention, plan_for, positions, ring_step
from lwmport.models.llama.config import LlamaConfig
from lwmport.types import Array

PLANS = [
    AttentionPlan(),
    AttentionPlan(form="loop", query_chunk=8, key_chunk=8),
    AttentionPlan(form="loop", query_chunk=16, key_chunk=4),
    AttentionPlan(form="loop", query_chunk=5, key_chunk=7),
    AttentionPlan(form="loop", key_chunk=8),
    AttentionPlan(form="loop"),
    AttentionPlan(form="unrolled", query_chunk=8, key_chunk=8),
    AttentionPlan(form="unrolled", query_chunk=4, key_chunk=16),
    AttentionPlan(form="unrolled", query_chunk=7, key_chunk=5),
    AttentionPlan(form="unrolled"),
]
RINGS = [
    AttentionPlan(ring=4),
    AttentionPlan(form="loop", query_chunk=4, key_chunk=8, ring=2),
    *(AttentionPlan(form="unrolled", query_chunk=4, key_chunk=4, ring=ring) for ring in (2, 4, 8)),
]
CLOSE = 1e-6


@pytest.mark.parametrize("plan", [*PLANS, *RINGS], ids=str)
def test_every_form_is_softmax_attention(plan: AttentionPlan) -> None:
    query, key, value, mask, segments = inputs(32, 32)
    for groups in (segments, np.zeros_like(segments)):
        found = attend(plan)(query, key, value, mask, groups)
        expected = attention64(query, key, value, mask, groups)
        seen = mask != 0
        np.testing.assert_allclose(by_token(found)[seen], by_token(expected)[seen], rtol=0, atol=CLOSE)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize("queries", [1, 17])
def test_queries_are_the_last_tokens_where_there_is_a_cache(plan: AttentionPlan, queries: int) -> None:
    query, key, value, mask, _ = inputs(queries, 32)
    found = attend(plan)(query, key, value, mask)
    expected = attention64(query, key, value, mask)
    seen = mask[:, -queries:] != 0
    np.testing.assert_allclose(by_token(found)[seen], by_token(expected)[seen], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("plan", PLANS[::3], ids=str)
def test_scores_of_ten_thousands_do_not_overflow(plan: AttentionPlan) -> None:
    query, key, value, mask, _ = inputs(32, 32)
    found = attend(plan)(query * 200, key * 200, value, mask)
    expected = attention64(query * 200, key * 200, value, mask)
    np.testing.assert_allclose(by_token(found)[mask != 0], by_token(expected)[mask != 0], rtol=0, atol=5e-3)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 0, 1)])
@pytest.mark.parametrize("plan", [AttentionPlan(), AttentionPlan(form="loop", query_chunk=4, key_chunk=2)], ids=str)
def test_ring_steps_in_any_order_are_attention(order: tuple[int, ...], plan: AttentionPlan) -> None:
    query, key, value, _, _ = inputs(32, 32)
    options = {"xla_backend_optimization_level": 0}
    step = jax.jit(lambda *args: ring_step(*args, plan=plan), compiler_options=options)
    for rank in range(4):
        own = query[:, :, 8 * rank : 8 * rank + 8]
        state = initial_state(own)
        for source in order:
            part = slice(8 * source, 8 * source + 8)
            state = step(own, key[:, :, part], value[:, :, part], *state, 8 * rank, 8 * source)
        expected = attention64(query, key, value, None)[:, :, 8 * rank : 8 * rank + 8]
        np.testing.assert_allclose(result(state), expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("form", ["loop", "unrolled"])
@pytest.mark.parametrize("ring", [1, 4])
def test_nothing_grows_with_the_square_of_the_length(form: str, ring: int) -> None:
    length, plan = 4096, AttentionPlan(form=form, query_chunk=512, key_chunk=512, ring=ring)
    heads = [jax.ShapeDtypeStruct((1, 2, length, 16), "float32")] * 3
    mask = jax.ShapeDtypeStruct((1, length), "int32")
    closed = jax.make_jaxpr(lambda *args: causal_attention(*args, plan))(*heads, mask)
    sizes = [variable.aval.size for equation in equations(closed.jaxpr) for variable in equation.outvars]
    assert max(sizes) <= 2 * 512 * 512
    assert all(np.asarray(constant).size <= 512 * 512 for constant in closed.consts)
    full = jax.make_jaxpr(lambda *args: causal_attention(*args, AttentionPlan()))(*heads, mask)
    assert max(var.aval.size for equation in equations(full.jaxpr) for var in equation.outvars) == 2 * length**2


def test_unrolled_blocks_above_the_diagonal_are_left_out() -> None:
    heads = [jax.ShapeDtypeStruct((1, 1, 64, 8), "float32")] * 3
    plan = AttentionPlan(form="unrolled", query_chunk=16, key_chunk=16)
    closed = jax.make_jaxpr(lambda *args: causal_attention(*args, None, plan))(*heads)
    products = [equation for equation in equations(closed.jaxpr) if equation.primitive.name == "dot_general"]
    assert len(products) == 2 * (1 + 2 + 3 + 4)


def test_lengths_may_be_symbolic() -> None:
    batch, queries, past = jax.export.symbolic_shape("batch, sequence, past")
    heads = [jax.ShapeDtypeStruct((batch, 2, size, 8), "float32") for size in (queries, *[past + queries] * 2)]
    mask = jax.ShapeDtypeStruct((batch, past + queries), "int32")
    plan = plan_for(LlamaConfig(scan_key_chunk_size=8), queries)
    assert plan == AttentionPlan(form="loop", query_chunk=0, key_chunk=8)
    exported = jax.export.export(jax.jit(lambda *args: causal_attention(*args, plan)))(*heads, mask)
    for rows, columns in [(1, 32), (19, 20), (5, 21)]:
        query, key, value, kept, _ = inputs(rows, columns)
        found = exported.call(query, key, value, kept)
        seen = kept[:, -rows:] != 0
        expected = attention64(query, key, value, kept)
        np.testing.assert_allclose(by_token(found)[seen], by_token(expected)[seen], rtol=0, atol=CLOSE)


def test_positions_count_from_the_first_token() -> None:
    mask = jnp.array([[0, 0, 1, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(positions(mask), [[0, 0, 0, 1], [0, 1, 2, 3]])


def test_the_plan_is_lwms_rule() -> None:
    config = LlamaConfig(scan_query_chunk_size=16, scan_key_chunk_size=32)
    assert plan_for(config, 32).form == "full"
    assert plan_for(config, 33) == AttentionPlan(form="loop", query_chunk=16, key_chunk=32)
    assert plan_for(config.updated({"scan_attention": False}), 33).form == "full"
    assert plan_for(config, 8, "unrolled", ring=4).ring == 4
    with pytest.raises(UsageError, match="form of attention"):
        plan_for(config, 8, "fast")


def test_a_ring_needs_tokens_that_it_divides_and_no_cache() -> None:
    query, key, value, mask, _ = inputs(30, 30)
    with pytest.raises(UsageError, match="4 ranks divide, found 30"):
        causal_attention(query, key, value, mask, AttentionPlan(ring=4))
    with pytest.raises(UsageError, match="found 2 and 30; leave out the cache"):
        causal_attention(query[:, :, :2], key, value, mask, AttentionPlan(ring=2))


def attend(plan: AttentionPlan) -> Callable[..., Any]:
    """Return a form of attention; loops are compiled, plain operators are not, whichever takes less time."""

    def attention(query: Any, key: Any, value: Any, mask: Any, segments: Any = None) -> Any:
        return causal_attention(query, key, value, mask, plan, segments)

    options = {"xla_backend_optimization_level": 0}
    return jax.jit(attention, compiler_options=options) if plan.form == "loop" else attention


def inputs(queries: int, keys: int) -> tuple[Array, Array, Array, Array, Array]:
    """Return heads, a mask with padding on the left of the second sequence, and segments."""
    rng = np.random.default_rng(queries + keys)
    sizes = (queries, keys, keys)
    query, key, value = (rng.standard_normal((2, 2, size, 8)).astype(np.float32) for size in sizes)
    mask, segments = np.ones((2, keys), np.int64), np.zeros((2, keys), np.int64)
    mask[1, :5] = 0
    segments[:, keys // 3 :] = 1
    segments[0, keys // 2 :] = 2
    return query, key, value, mask, segments


def attention64(query: Array, key: Array, value: Array, mask: Array | None, segments: Array | None = None) -> Array:
    """Return softmax attention in float64, by its definition."""
    rows, columns = query.shape[2], key.shape[2]
    allowed = np.arange(columns) <= np.arange(columns - rows, columns)[:, None]
    allowed = np.broadcast_to(allowed, (query.shape[0], rows, columns)).copy()
    if mask is not None:
        allowed &= (mask != 0)[:, None, :]
    if segments is not None:
        allowed &= segments[:, -rows:, None] == segments[:, None, :]
    scores = np.einsum("bhqd,bhkd->bhqk", query.astype(float), key.astype(float)) / np.sqrt(query.shape[-1])
    scores = np.where(allowed[:, None], scores, -1e300)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    found: Array = np.einsum("bhqk,bhkd->bhqd", weights / weights.sum(-1, keepdims=True), value.astype(float))
    return found


def by_token(heads: Any) -> Array:
    return np.moveaxis(np.asarray(heads), 1, 2)


def equations(jaxpr: Any) -> Iterator[Any]:
    """Yield every equation, those inside loops, branches and calls included."""
    for equation in jaxpr.eqns:
        yield equation
        for leaf in jax.tree.leaves(equation.params, is_leaf=lambda value: hasattr(value, "eqns")):
            if hasattr(leaf, "eqns"):
                yield from equations(getattr(leaf, "jaxpr", leaf))
