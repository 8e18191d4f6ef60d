"""A program without calls: the same numbers, every other equation as it stands, and where each was written."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from lwmport.graphs.inline import inline
from lwmport.models.calls import CALLS
from lwmport.models.composites import basic as composites

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def model(x: jax.Array) -> jax.Array:
    @jax.jit
    def inner(y: jax.Array) -> jax.Array:
        with jax.named_scope("inside"):
            return composites.silu(jnp.where(y > 0, y, 0.5)) + jnp.zeros(4)

    with jax.named_scope("outside"):
        return jax.checkpoint(inner)(jax.nn.relu(x))


def test_calls_go_and_all_else_stays() -> None:
    closed = jax.make_jaxpr(model)(X)
    flat = inline(closed)
    names = [equation.primitive.name for equation in flat.jaxpr.eqns]
    assert not set(names) & set(CALLS)
    assert names.count("composite") == 1
    assert "add" in names, "a sum with zeros is left as it was written"
    stacks = {str(equation.source_info.name_stack) for equation in flat.jaxpr.eqns}
    assert any(stack.startswith("outside") and stack.endswith("inside") for stack in stacks)
    np.testing.assert_array_equal(core.jaxpr_as_fun(flat)(X)[0], core.jaxpr_as_fun(closed)(X)[0])


def test_what_nobody_reads_is_left_out() -> None:
    flat = inline(jax.make_jaxpr(lambda x: (jnp.sin(x), x + 1.0)[1])(X))
    assert [equation.primitive.name for equation in flat.jaxpr.eqns] == ["add"]
