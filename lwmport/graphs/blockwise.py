"""Attention of which a dialect has no operator, written so that its memory grows with the length and not its square."""

from typing import Any, Final

import jax
from jax.extend import core

from lwmport.graphs.atoms import composite_attributes, composite_name
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.attention.causal import causal_attention
from lwmport.models.composites.language import CAUSAL_ATTENTION

CHUNK: Final = 1024
"""Keys in a block, as in LWM."""


def asks_for_one_operator(equation: Any) -> bool:
    """Return whether a composite may become an operator: attention that asks for a loop or a list of blocks may not."""
    return composite_name(equation) != CAUSAL_ATTENTION or composite_attributes(equation)["form"] == "full"


def attention_operands(equation: Any) -> list[Any]:
    """Return queries, keys, values, past keys, past values and mask of an attention, without what it closes over."""
    return list(equation.invars[-6:])


def in_blocks(equation: Any) -> core.ClosedJaxpr:
    """Return the decomposition of a composite; attention that asks for all scores at once becomes a loop over blocks.

    Queries are cut into blocks only where their number is known, so that a lone one is not filled up to a block.
    """
    own: core.ClosedJaxpr = equation.params["jaxpr"]
    if composite_name(equation) != CAUSAL_ATTENTION or not asks_for_one_operator(equation):
        return own
    queries = attention_operands(equation)[0].aval.shape[2]
    plan = AttentionPlan(form="loop", query_chunk=CHUNK if isinstance(queries, int) else 0, key_chunk=CHUNK)

    def looped(*operands: Any) -> Any:
        query, key, value, past_key, past_value, mask = operands[-6:]  # constants of the decomposition come first
        keys = jax.lax.concatenate([past_key, key], 2)
        values = jax.lax.concatenate([past_value, value], 2)
        return causal_attention(query, keys, values, mask, plan), keys, values

    avals = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.invars]
    found: core.ClosedJaxpr = jax.make_jaxpr(looped)(*avals)
    return found
