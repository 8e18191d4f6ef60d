"""The language models for readers without dynamic sizes: a prefill and a decode, with a cache of fixed length.

A prefill takes ``sequence`` tokens and no past, and gives a cache of ``max_length`` slots: the tokens in the first
ones, zeros behind. A decode writes its tokens into the slots from ``cache_position`` on and attends to the whole
cache; ``attention_mask`` says which slots hold a token, those that it writes included. Padding stays on the left.

What may not be seen is a number added to the scores, made once for all layers (`lwmport.models.attention.bias`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from lwmport.errors import UsageError
from lwmport.models.attention.bias import decode_bias, padding_bias, prefill_bias
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.attention.causal import causal_attention
from lwmport.models.composites.language import cache_update, masked_attention
from lwmport.models.llama import signatures as llama_signatures
from lwmport.models.llama.components import cache_of, component, fed, present_of, tree, unstacked
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.layers import Block, Cache, Context, Setting
from lwmport.models.llama.parts import check_layer, llama_embed, llama_head
from lwmport.models.llama.rotary import rotary_angles
from lwmport.models.llama.signatures import EMBEDS, Lengths
from lwmport.models.llama.weights import block_weights, llama_weights
from lwmport.types import DECODE, PREFILL, Component, Signature, TensorSpec

Attend: TypeAlias = Callable[[Any, Any], tuple[Any, Cache]]
"""(queries, keys and values of the new tokens; the cache before) -> the attention and the cache afterwards."""


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One of the two phases, `PREFILL` or `DECODE`: its lengths, and ``attend(inputs)``: how its heads attend."""

    name: str
    config: LlamaConfig
    sequence: int
    slots: int
    attend: Callable[[Mapping[str, Any]], Attend]

    @property
    def tokens(self) -> Lengths:
        """The lengths of what goes by new tokens."""
        return Lengths(sequence=self.sequence, past=0 if self.name == PREFILL else self.slots - self.sequence)

    def layer_inputs(self, layers: range) -> tuple[TensorSpec, ...]:
        """Return the inputs of layers beside the states."""
        context = llama_signatures.context_inputs(self.config, self.tokens)
        if self.name == PREFILL:
            return context
        past = llama_signatures.past_inputs(self.config, Lengths(past=self.slots), layers)
        return (*context, llama_signatures.cache_position(self.slots), *past)

    def present(self, layers: range) -> tuple[TensorSpec, ...]:
        """Return the caches that come out."""
        return llama_signatures.present_outputs(self.config, Lengths(sequence=self.slots, past=0), layers)

    def run(self, x: Any, weights: Mapping[str, Any], inputs: Mapping[str, Any], layers: range) -> tuple[Any, Any]:
        """Return (states after the layers [b, s, hidden], their caches by name)."""
        block = Block(unstacked(self.config), Setting(AttentionPlan(), None))
        context = Context(*self._angles(inputs["position_ids"]), None, attend=self.attend(inputs))
        held, present = tree(weights)["params"]["transformer"]["h"], []
        for layer in layers:
            past = None if self.name == PREFILL else cache_of(inputs, layer)
            with jax.named_scope(f"transformer/h/{layer}"):
                x, cache = block.apply({"params": held[str(layer)]}, x, context, past)
            present.append(cache)
        return x, present_of(present, layers.start)

    def _angles(self, position_ids: Any) -> tuple[Any, Any]:
        config = self.config
        length = config.max_sequence_length
        return rotary_angles(position_ids, head_dim=config.head_dim, theta=config.theta, length=length)


def llama_prefill(
    config: LlamaConfig, sequence: int, max_length: int, plan: AttentionPlan | None = None, *, embeds: bool = False
) -> Component:
    """Return the first pass of the whole model: ``sequence`` tokens in, logits and a cache of ``max_length`` out.

    With ``embeds`` the tokens come embedded, as `llama_embed` gives them: a decode takes what it generates as ids.

    Raises:
        UsageError: lengths that fit neither each other nor the model, or a plan that loops.
    """
    return _whole(_prefill(config, sequence, max_length, plan), embeds=embeds)


def llama_decode(config: LlamaConfig, max_length: int, sequence: int = 1) -> Component:
    """Return a later pass of the whole model: ``sequence`` tokens and a cache in, logits and the cache out.

    Raises:
        UsageError: lengths that fit neither each other nor the model.
    """
    return _whole(_decode(config, max_length, sequence))


def llama_block_prefill(
    config: LlamaConfig, layer: int, sequence: int, max_length: int, plan: AttentionPlan | None = None
) -> Component:
    """Return the first pass of one layer: states in, states and the layer's cache of ``max_length`` out.

    Raises:
        UsageError: no such layer, lengths that fit neither each other nor the model, or a plan that loops.
    """
    return _block(_prefill(config, sequence, max_length, plan), layer)


def llama_block_decode(config: LlamaConfig, layer: int, max_length: int, sequence: int = 1) -> Component:
    """Return a later pass of one layer: states and the layer's cache in, states and the cache out.

    Raises:
        UsageError: no such layer, or lengths that fit neither each other nor the model.
    """
    return _block(_decode(config, max_length, sequence), layer)


def static_plan(config: LlamaConfig, sequence: int) -> AttentionPlan:
    """Return how a prefill attends if nobody says: at once what one of LWM's blocks holds, in blocks what is longer."""
    rows, columns = config.scan_query_chunk_size, config.scan_key_chunk_size
    if sequence <= max(rows, columns):
        return AttentionPlan()
    return AttentionPlan(form="unrolled", query_chunk=rows, key_chunk=columns)


def _prefill(config: LlamaConfig, sequence: int, max_length: int, plan: AttentionPlan | None) -> _Pass:
    _check_lengths(config, sequence, max_length)
    chosen = plan or static_plan(config, sequence)
    if chosen.form == "loop":
        raise UsageError("expected the attention of a prefill of fixed length fused or unrolled, found a loop")
    whole = chosen.ring == 1 and (chosen.form == "full" or _is_one_block(chosen, sequence))

    def attend(inputs: Mapping[str, Any]) -> Attend:
        mask = inputs["attention_mask"]
        bias = prefill_bias(mask) if whole else padding_bias(mask)

        def heads_attend(heads: Any, _: Any) -> tuple[Any, Cache]:
            query, key, value = heads
            if whole:
                found = masked_attention(query, key, value, bias)
            else:
                found = causal_attention(query, key, value, bias, chosen)
            return found, (_behind(key, max_length), _behind(value, max_length))

        return heads_attend

    return _Pass(name=PREFILL, config=config, sequence=sequence, slots=max_length, attend=attend)


def _decode(config: LlamaConfig, max_length: int, sequence: int) -> _Pass:
    _check_lengths(config, sequence, max_length)

    def attend(inputs: Mapping[str, Any]) -> Attend:
        position = inputs["cache_position"].astype(jnp.int32).reshape(())
        bias = decode_bias(inputs["attention_mask"], position, sequence)

        def heads_attend(heads: Any, past: Any) -> tuple[Any, Cache]:
            query, key, value = heads
            keys, values = (cache_update(cache, new, position) for cache, new in zip(past, (key, value), strict=True))
            return masked_attention(query, keys, values, bias), (keys, values)

        return heads_attend

    return _Pass(name=DECODE, config=config, sequence=sequence, slots=max_length, attend=attend)


def _whole(steps: _Pass, *, embeds: bool = False) -> Component:
    config, layers = steps.config, range(steps.config.num_hidden_layers)
    embed, head = llama_embed(config, steps.tokens, EMBEDS), llama_head(config, steps.tokens)

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        states = (inputs if embeds else embed.apply(weights, inputs))[EMBEDS]
        states, present = steps.run(states, weights, inputs, layers)
        return {**head.apply(weights, {"hidden_states": states}), **present}

    tokens = embed.signature.outputs if embeds else embed.signature.inputs
    inputs = (*tokens, *steps.layer_inputs(layers))
    outputs = (*head.signature.outputs, *steps.present(layers))
    model = "vision-llama" if isinstance(config, VisionLlamaConfig) else "llama"
    signature = Signature(inputs=inputs, outputs=outputs, states=llama_signatures.slot_caches(layers))
    made = component(f"{model}-{steps.name}", config, signature, llama_weights(config), apply, (steps.name,))
    return fed(made, config, embed) if embeds else made


def _block(steps: _Pass, layer: int) -> Component:
    config, one = steps.config, range(layer, layer + 1)
    check_layer(config, layer)
    name = "new_hidden_states"

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        states, present = steps.run(inputs["hidden_states"], weights, inputs, one)
        return {name: states, **present}

    inputs = (llama_signatures.hidden_states(config, steps.tokens), *steps.layer_inputs(one))
    outputs = (llama_signatures.hidden_states(config, steps.tokens, name), *steps.present(one))
    signature = Signature(inputs=inputs, outputs=outputs, states=llama_signatures.slot_caches(one))
    return component(f"llama-block-{steps.name}", config, signature, block_weights(config, layer), apply, (steps.name,))


def _is_one_block(plan: AttentionPlan, sequence: int) -> bool:
    return all(chunk == 0 or chunk >= sequence for chunk in (plan.query_chunk, plan.key_chunk))


def _behind(heads: Any, slots: int) -> Any:
    """Return [b, h, slots, d] with the tokens [b, h, s, d] first and zeros behind."""
    left = slots - heads.shape[2]
    return jnp.pad(heads, ((0, 0), (0, 0), (0, left), (0, 0))) if left else heads


def _check_lengths(config: LlamaConfig, sequence: int, max_length: int) -> None:
    if not 1 <= sequence <= max_length:
        raise UsageError(f"expected 1 to {max_length} tokens at once, as many as the cache holds, found {sequence}")
    if max_length > config.max_sequence_length:
        raise UsageError(
            f"expected a cache of at most max_sequence_length {config.max_sequence_length}, found {max_length}"
        )
