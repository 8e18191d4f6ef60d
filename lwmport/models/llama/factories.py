"""The components of the language models by name: each is made of a configuration and the options of a user.

A factory raises `UsageError` where lengths, chunks and the form of attention do not go together.
"""

from typing import Final

from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.attention.causal import LOOPED_QUERIES
from lwmport.models.llama import components as llama_components
from lwmport.models.llama import parts as llama_parts
from lwmport.models.llama import static as llama_static
from lwmport.models.llama.config import LlamaConfig
from lwmport.models.llama.signatures import DYNAMIC, EMBEDS, Lengths
from lwmport.models.options import ATTENTIONS, EMBEDDED, USUAL_ATTENTION, Options
from lwmport.types import Component

PREFILL: Final = 128
"""Tokens of a static prefill when no number is asked for."""

CACHE: Final = 2048
"""Slots of a static cache when no number is asked for, or as many as the model has positions."""


def whole(config: LlamaConfig, options: Options) -> Component:
    """Return the whole model for any number of tokens, or for ``sequence`` of them."""
    lengths = _lengths(options)
    embed = llama_parts.llama_embed(config, lengths, EMBEDS) if options.input_form == EMBEDDED else None
    return llama_components.llama(config, lengths, _plan(config, options), embed)


def block(config: LlamaConfig, options: Options) -> Component:
    """Return one layer, with its cache."""
    return llama_parts.llama_block(config, options.layer or 0, _lengths(options), _plan(config, options))


def block_qkv(config: LlamaConfig, options: Options) -> Component:
    """Return the first half of a layer, in front of the steps of a ring."""
    return llama_parts.llama_block_qkv(config, options.layer or 0, _still(config, options))


def block_rest(config: LlamaConfig, options: Options) -> Component:
    """Return the second half of a layer, behind the steps of a ring."""
    return llama_parts.llama_block_rest(config, options.layer or 0, _still(config, options))


def embed(config: LlamaConfig, options: Options) -> Component:
    """Return the embedding."""
    return llama_parts.llama_embed(config, _still(config, options))


def head(config: LlamaConfig, options: Options) -> Component:
    """Return the last normalisation and the heads."""
    return llama_parts.llama_head(config, _still(config, options))


def ring(config: LlamaConfig, options: Options) -> Component:
    """Return one step of ring attention."""
    lengths = llama_parts.WHOLE_RING
    if options.static or options.sequence is not None:
        tokens = _tokens(config, options)
        lengths = Lengths(sequence=tokens, past=tokens)
    return llama_parts.ring_step(config, lengths, _plan(config, options), padded=True)


def prefill(config: LlamaConfig, options: Options) -> Component:
    """Return the whole model for the first tokens of a cache of fixed length."""
    lengths, plan = _fixed_lengths(config, options), _static_plan(config, options)
    return llama_static.llama_prefill(config, *lengths, plan, embeds=options.input_form == EMBEDDED)


def decode(config: LlamaConfig, options: Options) -> Component:
    """Return the whole model for new tokens into a cache of fixed length."""
    return llama_static.llama_decode(config, _slots(config, options))


def block_prefill(config: LlamaConfig, options: Options) -> Component:
    """Return one layer for the first tokens of a cache of fixed length."""
    lengths, plan = _fixed_lengths(config, options), _static_plan(config, options)
    return llama_static.llama_block_prefill(config, options.layer or 0, *lengths, plan)


def block_decode(config: LlamaConfig, options: Options) -> Component:
    """Return one layer for new tokens into a cache of fixed length."""
    return llama_static.llama_block_decode(config, options.layer or 0, _slots(config, options))


def _plan(config: LlamaConfig, options: Options) -> AttentionPlan:
    form = ATTENTIONS[options.attention or USUAL_ATTENTION]
    if form == "full":
        return AttentionPlan()
    whole = form == "loop" and options.sequence is None  # a lone query must not be filled up to a block
    return AttentionPlan(
        form=form,
        query_chunk=options.query_chunk or (LOOPED_QUERIES if whole else config.scan_query_chunk_size),
        key_chunk=options.key_chunk or config.scan_key_chunk_size,
        ring=options.ring,
    )


def _lengths(options: Options) -> Lengths:
    return DYNAMIC if options.sequence is None else Lengths(sequence=options.sequence)


def _still(config: LlamaConfig, options: Options) -> Lengths:
    """Return the lengths of a part without attention."""
    return Lengths(sequence=_tokens(config, options), past=0) if options.static else _lengths(options)


def _tokens(config: LlamaConfig, options: Options) -> int:
    return options.sequence or min(PREFILL, config.max_sequence_length)


def _slots(config: LlamaConfig, options: Options) -> int:
    return options.max_length or min(CACHE, config.max_sequence_length)


def _fixed_lengths(config: LlamaConfig, options: Options) -> tuple[int, int]:
    """Return the tokens of a prefill and the slots of its cache."""
    slots = _slots(config, options)
    return options.sequence or min(PREFILL, slots), slots


def _static_plan(config: LlamaConfig, options: Options) -> AttentionPlan | None:
    plan = _plan(config, options)
    return None if plan.form == "full" else plan
