"""Attention without an operator becomes a loop whose memory is linear, with the same numbers."""

from typing import Any

import jax
import numpy as np
import pytest
from jax.extend import core

from lwmport.graphs.atoms import composite_name
from lwmport.graphs.blockwise import asks_for_one_operator, attention_operands, in_blocks
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.composites.language import CAUSAL_ATTENTION, cached_attention


def attend(plan: AttentionPlan, queries: int = 5, past: int = 3) -> tuple[Any, list[Any]]:
    """Return the composite equation of an attention, and its operands."""
    random = np.random.default_rng(0)
    heads = tuple(random.normal(size=(2, 4, queries, 8)).astype(np.float32) for _ in range(3))
    before = tuple(random.normal(size=(2, 4, past, 8)).astype(np.float32) for _ in range(2))
    mask = np.asarray(np.arange(past + queries) >= np.asarray([[2], [0]]), np.int32)
    closed = jax.make_jaxpr(lambda *args: cached_attention(args[:3], args[3:5], args[5], plan))(*heads, *before, mask)
    (equation,) = (equation for equation in closed.eqns if composite_name(equation) == CAUSAL_ATTENTION)
    return equation, [*heads, *before, mask]


def test_all_scores_at_once_become_a_loop_with_the_same_numbers() -> None:
    equation, operands = attend(AttentionPlan())
    closed = in_blocks(equation)
    assert any(inner.primitive.name == "scan" for inner in closed.eqns)
    extra = len(equation.invars) - len(attention_operands(equation))
    constants = [np.zeros(atom.aval.shape, atom.aval.dtype) for atom in equation.invars[:extra]]
    found = core.jaxpr_as_fun(closed)(*constants, *operands)
    expected = cached_attention(tuple(operands[:3]), tuple(operands[3:5]), operands[5], AttentionPlan())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["loop", "unrolled"])
def test_what_asks_for_blocks_keeps_its_own(form: str) -> None:
    equation, _ = attend(AttentionPlan(form=form, query_chunk=4, key_chunk=4))
    assert not asks_for_one_operator(equation)
    assert in_blocks(equation) is equation.params["jaxpr"]
    assert asks_for_one_operator(attend(AttentionPlan())[0])
