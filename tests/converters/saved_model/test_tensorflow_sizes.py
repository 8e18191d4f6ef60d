"""Sizes that are known only when a program runs: computed from the inputs, in every rule that takes one."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from lwmport.errors import LoweringError
from lwmport.models.attention.blocks import AttentionPlan, Slice, result
from lwmport.models.attention.loop import loop

X = np.asarray(np.random.default_rng(1).integers(-8, 9, (5, 4)) / 4, np.float32)


def end(x: Any, start: Any) -> Any:
    return lax.slice(x, (start, 0), (x.shape[0], 4))


def filled(x: Any, blocks: Any) -> Any:
    return jnp.pad(x, ((0, 4 * blocks - x.shape[0]), (0, 0))).reshape(blocks, 4, 4)


EXAMPLES: dict[str, Callable[[Any], Any]] = {
    "a size as a number": lambda x: x * x.shape[0],
    "a product of sizes": lambda x: x + jnp.float32(x.shape[0] * x.shape[0] + 3),
    "a quotient": lambda x: x - (x.shape[0] + 3) // 2,
    "a remainder": lambda x: x + x.shape[0] % 3,
    "positions": lambda x: x + jnp.arange(x.shape[0], dtype=np.float32)[:, None],
    "positions on two axes": lambda x: x + lax.broadcasted_iota(np.int32, (x.shape[0], 4), 0),
    "a pair of dynamic axes": lambda x: (x @ x.T)[:, None, :].sum(2) @ jnp.ones((1, 4)) * x,
    "an axis that grows": lambda x: x + jnp.broadcast_to(x[:1, :1], (x.shape[0], 4)),
    "an end that moves": lambda x: jnp.concatenate([end(x, x.shape[0] - 1), lax.slice(x, (0, 0), (x.shape[0] - 1, 4))]),
    "a filling up to blocks": lambda x: x + filled(x, (x.shape[0] + 3) // 4).sum((0, 1)),
    "a scan as long as the batch": lambda x: lax.scan(lambda c, row: (c + row, c * row), jnp.ones(4), x)[1],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_size_is_what_the_input_has(name: str, lower: Callable[..., Any]) -> None:
    lower(EXAMPLES[name], X, dynamic=True).agrees(rtol=1e-6)


def test_attention_in_a_loop_needs_no_matrix_of_scores(lower: Callable[..., Any]) -> None:
    def attend(x: Any) -> Any:
        heads = x[None, None]
        queries, keys = Slice((heads,)), Slice((heads, heads * 2))
        return result(loop(queries, keys, None, AttentionPlan(form="loop", key_chunk=2)))[0, 0]

    found = lower(attend, X, dynamic=True).agrees(rtol=1e-5)
    assert found.operators["StatelessWhile"] == 1


def test_a_size_that_no_input_shows_is_refused(tf: Any) -> None:
    from lwmport.converters.saved_model.sizes import Sizes

    sizes = Sizes(tf)
    sizes.add_input(tf.zeros((3, 2)), ("batch", 2))
    assert int(sizes.scalar("2*batch^2 - mod(batch, 2)")) == 17
    with pytest.raises(LoweringError, match=r"expected sizes that the inputs decide, found past [+] 1, of which past"):
        sizes.scalar("past + 1")
