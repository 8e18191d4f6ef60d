"""Attention of which a dialect has no operator, written so that its memory grows with the length and not its square."""

from typing import Any, Final

import jax
import jax.numpy as jnp
from jax.extend import core

from lwmport.graphs.atoms import composite_attributes, composite_name
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.composites.language import CAUSAL_ATTENTION, attended

OPERANDS: Final = 6
"""Queries, keys, values, past keys, past values, mask."""

CHUNK: Final = 1024
"""Keys in a block, as in LWM."""


def asks_for_one_operator(equation: Any) -> bool:
    """Return whether a composite may become an operator: attention that asks for a loop or a list of blocks may not."""
    return composite_name(equation) != CAUSAL_ATTENTION or composite_attributes(equation)["form"] == "full"


def attention_operands(equation: Any) -> list[Any]:
    """Return queries, keys, values, past keys, past values and mask of an attention, without what it closes over."""
    return list(equation.invars[-OPERANDS:])


def scale_operands(equation: Any) -> list[Any]:
    """Return the scales of past keys and past values of an attention, where these are codes; else none."""
    coded = attention_operands(equation)[3].aval.dtype == jnp.int8
    return list(equation.invars[-OPERANDS - 2 : -OPERANDS]) if coded else []


def is_narrow(equation: Any) -> bool:
    """Return whether the cache of an attention has another dtype than what is computed."""
    query, _, _, past, *_ = attention_operands(equation)
    return bool(query.aval.dtype != past.aval.dtype)


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
        return attended(operands[first:], plan)  # constants of the decomposition come first

    first = len(equation.invars) - len(scale_operands(equation)) - OPERANDS
    avals = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.invars]
    found: core.ClosedJaxpr = jax.make_jaxpr(looped)(*avals)
    return found
