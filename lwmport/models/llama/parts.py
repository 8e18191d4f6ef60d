"""The parts of a language model as components: embedding, one layer, its halves, head, and one step of a ring.

Chained, embedding, layers and head are the whole model. A layer is its first half, steps of a ring for all keys, and
its second half. Each takes the configuration of a text or of a vision-language
model; weights keep the names that they have in the whole.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from lwmport.errors import UsageError
from lwmport.models.attention import causal as attention
from lwmport.models.attention.bias import padding_bias
from lwmport.models.attention.blocks import AttentionPlan, State, result
from lwmport.models.composites import language as llama_composites
from lwmport.models.layers import rows
from lwmport.models.llama import signatures as llama_signatures
from lwmport.models.llama.components import BOTH, cache_of, component, present_of, tree, unstacked
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.layers import Block, Context, FeedForward, Setting
from lwmport.models.llama.rotary import rotary_angles
from lwmport.models.llama.signatures import DYNAMIC, Lengths
from lwmport.models.llama.vision import embed
from lwmport.models.llama.weights import LAYERS, block_weights, embed_weights, head_weights
from lwmport.types import Component, Signature, WeightSpec

FIRST_HALF = ("attention/wq", "attention/wk", "attention/wv", "attention_norm")
"""What a layer reads before its tokens look at each other."""

WHOLE_RING = Lengths(sequence="queries", past="keys")
"""Any number of queries and of keys on a rank."""


def llama_block(
    config: LlamaConfig, layer: int = 0, lengths: Lengths = DYNAMIC, plan: AttentionPlan | None = None
) -> Component:
    """Return one layer: states, mask, positions and the layer's cache in, states and the longer cache out.

    Raises:
        UsageError: the model has no such layer.
    """
    check_layer(config, layer)
    block = Block(unstacked(config), Setting(plan or attention.plan_for(config, lengths.sequence), None))

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        own = tree(weights)["params"]["transformer"]["h"][str(layer)]
        context = Context(*_angles(config, inputs["position_ids"]), inputs["attention_mask"])
        states, present = block.apply({"params": own}, inputs["hidden_states"], context, cache_of(inputs, layer))
        return {"new_hidden_states": states, **present_of([present], layer)}

    one = range(layer, layer + 1)
    states = llama_signatures.hidden_states(config, lengths)
    found = llama_signatures.hidden_states(config, lengths, "new_hidden_states")
    context = llama_signatures.context_inputs(config, lengths)
    inputs = (states, *context, *llama_signatures.past_inputs(config, lengths, one))
    outputs = (found, *llama_signatures.present_outputs(config, lengths, one))
    signature = Signature(inputs=inputs, outputs=outputs, states=llama_signatures.grown_caches(one))
    return component("llama-block", config, signature, block_weights(config, layer), apply, BOTH)


def llama_block_qkv(config: LlamaConfig, layer: int = 0, lengths: Lengths = DYNAMIC) -> Component:
    """Return the first half of a layer: states and positions in, rotated queries, rotated keys and values out.

    Raises:
        UsageError: the model has no such layer.
    """
    check_layer(config, layer)
    own, shared = config.num_attention_heads, config.kv_heads
    counts = {"query": ("wq", own), "key": ("wk", shared), "value": ("wv", shared)}
    at = f"{LAYERS}{layer}"

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        scale = weights[f"{at}/attention_norm/kernel"]
        normed = llama_composites.rms_norm(inputs["hidden_states"], scale, epsilon=config.rms_norm_eps)
        angles = _angles(config, inputs["position_ids"])
        found = {}
        for output, (name, count) in counts.items():
            heads = normed @ weights[f"{at}/attention/{name}/kernel"]
            heads = jnp.moveaxis(heads.reshape(*heads.shape[:2], count, config.head_dim), 2, 1)
            found[output] = heads if output == "value" else llama_composites.rotary_embedding(heads, *angles)
        return found

    _, positions = llama_signatures.context_inputs(config, lengths)
    inputs = (llama_signatures.hidden_states(config, lengths), positions)
    signature = Signature(inputs=inputs, outputs=llama_signatures.heads_outputs(config, lengths))
    return component("llama-block-qkv", config, signature, _half(config, layer, first=True), apply)


def llama_block_rest(config: LlamaConfig, layer: int = 0, lengths: Lengths = DYNAMIC) -> Component:
    """Return the second half of a layer: its states and what a ring found for them in, the states after it out.

    Raises:
        UsageError: the model has no such layer.
    """
    check_layer(config, layer)
    forward = FeedForward(unstacked(config), None)

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        own = tree(weights)["params"]["transformer"]["h"][str(layer)]
        states = inputs["hidden_states"]
        attended = result(State(inputs["numerator"], inputs["denominator"], None))
        attended = jnp.moveaxis(attended, 1, 2).reshape(*states.shape[:2], -1)
        states = states + attended @ own["attention"]["wo"]["kernel"]
        normed = llama_composites.rms_norm(states, own["ffn_norm"]["kernel"], epsilon=config.rms_norm_eps)
        return {"new_hidden_states": states + forward.apply({"params": own["feed_forward"]}, normed)}

    numerator, denominator, _ = llama_signatures.ring_state(config, lengths)
    inputs = (llama_signatures.hidden_states(config, lengths), numerator, denominator)
    outputs = (llama_signatures.hidden_states(config, lengths, "new_hidden_states"),)
    signature = Signature(inputs=inputs, outputs=outputs)
    return component("llama-block-rest", config, signature, _half(config, layer, first=False), apply)


def llama_embed(config: LlamaConfig, lengths: Lengths = DYNAMIC, states: str = "hidden_states") -> Component:
    """Return the embedding: tokens in, states out, under the name ``states``."""

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        words, ids = weights["transformer/wte/embedding"], inputs["input_ids"].astype(jnp.int32)
        if not isinstance(config, VisionLlamaConfig):
            return {states: rows(words, ids)}
        codes = weights["transformer/vte/embedding"]
        return {states: embed(config.sample_mode, words, codes, ids, inputs["vision_masks"])}

    found = (llama_signatures.hidden_states(config, lengths, states),)
    signature = Signature(inputs=llama_signatures.token_inputs(config, lengths), outputs=found)
    return component("llama-embed", config, signature, embed_weights(config), apply)


def llama_head(config: LlamaConfig, lengths: Lengths = DYNAMIC) -> Component:
    """Return the last normalisation and the heads: states in, logits out."""
    outputs = llama_signatures.logits_outputs(config, lengths)
    names = {spec.name: _head_weight(config, spec.name) for spec in outputs}
    known = {**embed_weights(config), **head_weights(config)}
    used = ("transformer/ln_f/kernel", *names.values())

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        scale = weights["transformer/ln_f/kernel"]
        states = llama_composites.rms_norm(inputs["hidden_states"], scale, epsilon=config.rms_norm_eps)
        kernels = {name: weights[weight] for name, weight in names.items()}
        tied = {name: weight.endswith("embedding") for name, weight in names.items()}
        return {name: states @ (kernel.T if tied[name] else kernel) for name, kernel in kernels.items()}

    signature = Signature(inputs=(llama_signatures.hidden_states(config, lengths),), outputs=outputs)
    return component("llama-head", config, signature, {name: known[name] for name in used}, apply)


def ring_step(
    config: LlamaConfig, lengths: Lengths = WHOLE_RING, plan: AttentionPlan | None = None, *, padded: bool = False
) -> Component:
    """Return one step of a ring: queries, the keys and values held now and the state in, the new state out.

    ``lengths`` are the queries and the keys of one rank. With ``padded`` a mask of the keys is an input too. Of fixed
    lengths, what may not be seen has a low score rather than the lowest (`lwmport.models.attention.bias`): a query
    that has seen nothing yet has another mean, which the first key that it sees takes away.
    """
    chosen = plan or attention.plan_for(config, lengths.sequence)
    static = isinstance(lengths.sequence, int) and isinstance(lengths.past, int) and chosen.form != "loop"

    def apply(_: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        offsets = [inputs[name].astype(jnp.int32) for name in ("query_offset", "key_offset")]
        given = [inputs[name] for name in ("query", "key", "value", *State._fields)]
        mask = inputs.get("attention_mask")
        if static:
            mask = np.zeros((1, int(lengths.past)), np.float32) if mask is None else padding_bias(mask)
        found = attention.ring_step(*given, *offsets, mask=mask, plan=chosen)
        return {f"new_{name}": value for name, value in found._asdict().items()}

    inputs = llama_signatures.ring_inputs(config, lengths, padded=padded)
    outputs = llama_signatures.ring_state(config, lengths, prefix="new_")
    signature = Signature(inputs=inputs, outputs=outputs, states=llama_signatures.ring_states())
    return component("ring-step", config, signature, {}, apply)


def _half(config: LlamaConfig, layer: int, *, first: bool) -> dict[str, WeightSpec]:
    """Return the tensors of one half of a layer."""
    names = tuple(f"{LAYERS}{layer}/{name}/" for name in FIRST_HALF)
    return {name: spec for name, spec in block_weights(config, layer).items() if name.startswith(names) is first}


def check_layer(config: LlamaConfig, layer: int) -> None:
    """Return if the model has such a layer.

    Raises:
        UsageError: it has not.
    """
    if not 0 <= layer < config.num_hidden_layers:
        raise UsageError(f"expected a layer from 0 to {config.num_hidden_layers - 1}, found {layer}")


def _angles(config: LlamaConfig, position_ids: Any) -> tuple[Any, Any]:
    length = config.max_sequence_length
    return rotary_angles(position_ids, head_dim=config.head_dim, theta=config.theta, length=length)


def _head_weight(config: LlamaConfig, output: str) -> str:
    """Return the tensor behind an output: the head's own, or the table that it is tied to."""
    if output == "vision_logits":
        tied = isinstance(config, VisionLlamaConfig) and config.tie_vision_embeddings
        return "transformer/vte/embedding" if tied else "vision_head/kernel"
    return "transformer/wte/embedding" if config.tie_word_embeddings else "lm_head/kernel"
