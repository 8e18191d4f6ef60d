"""The whole language models as components: tokens and a cache in, logits and a longer cache out.

Weights are one tensor a layer, whatever the checkpoint does (`lwmport.models.llama.weights`). ``plan`` None follows
the configuration's own rule (`lwmport.models.attention.causal.plan_for`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import flax.traverse_util

from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.attention.causal import plan_for
from lwmport.models.llama import signatures as llama_signatures
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.folds import folds_of
from lwmport.models.llama.signatures import DYNAMIC, Lengths
from lwmport.models.llama.text import Caches, Llama
from lwmport.models.llama.vision import VisionLlama
from lwmport.models.llama.weights import embedded_weights, llama_weights
from lwmport.types import DECODE, PREFILL, Component, Signature, WeightSpec

BOTH: Final = (PREFILL, DECODE)
"""The phases of a component that takes any number of tokens behind any number of others."""


def llama(
    config: LlamaConfig,
    lengths: Lengths = DYNAMIC,
    plan: AttentionPlan | None = None,
    feeder: Component | None = None,
) -> Component:
    """Return the whole model: tokens, mask, positions and cache in, logits and the longer cache out.

    With a ``feeder`` (`lwmport.models.llama.parts.llama_embed`) the tokens come embedded, as it gives them, and the
    model has no table of them but one that is also a head.
    """
    module = _module(config, plan or plan_for(config, lengths.sequence))
    layers = range(config.num_hidden_layers)

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        given = [inputs[spec.name] for spec in tokens]
        told = {spec.name: inputs[spec.name] for spec in context}
        past = [cache_of(inputs, layer) for layer in layers]
        logits, present = module.apply(tree(weights), *given, **told, past=past)
        return {**(logits if isinstance(logits, dict) else {"logits": logits}), **present_of(present, 0)}

    tokens = llama_signatures.token_inputs(config, lengths) if feeder is None else feeder.signature.outputs
    context = llama_signatures.context_inputs(config, lengths)
    inputs = (*tokens, *context, *llama_signatures.past_inputs(config, lengths, layers))
    outputs = (
        *llama_signatures.logits_outputs(config, lengths),
        *llama_signatures.present_outputs(config, lengths, layers),
    )
    name = "vision-llama" if isinstance(config, VisionLlamaConfig) else "llama"
    signature = Signature(inputs=inputs, outputs=outputs, states=llama_signatures.grown_caches(layers))
    made = component(name, config, signature, llama_weights(config), apply, BOTH)
    return made if feeder is None else fed(made, config, feeder)


def fed(whole: Component, config: LlamaConfig, feeder: Component) -> Component:
    """Return a whole model whose tokens come embedded, with what embeds them, and without the tables."""
    return replace(whole, weights=embedded_weights(config), feeder=feeder)


def component(
    name: str,
    config: LlamaConfig,
    signature: Signature,
    weights: Mapping[str, WeightSpec],
    apply: Any,
    phases: tuple[str, ...] = (),
) -> Component:
    """Return a component of a text or vision-language model."""
    return Component(
        name=name,
        family="vision-llama" if isinstance(config, VisionLlamaConfig) else "llama",
        signature=signature,
        weights=weights,
        config=config.to_json(),
        apply=apply,
        phases=phases,
        folds=folds_of(config, weights, values=phases == BOTH),
        turned=frozenset(state.input for state in signature.states if state.input.endswith(".key")),
    )


def _module(config: LlamaConfig, plan: AttentionPlan) -> Llama | VisionLlama:
    plain = unstacked(config)
    return VisionLlama(plain, plan, None) if isinstance(plain, VisionLlamaConfig) else Llama(plain, plan, None)


def unstacked(config: LlamaConfig) -> LlamaConfig:
    """Return the configuration of a program: one tensor a layer, no device mesh, no loop over tokens in the network."""
    return config.updated({"scan_layers": False, "scan_mlp": False, "mesh_dim": None})


def tree(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat weights as flax wants them."""
    return {"params": flax.traverse_util.unflatten_dict(dict(weights), sep="/")}


def cache_of(inputs: Mapping[str, Any], layer: int) -> tuple[Any, Any]:
    """Return keys and values of one layer out of the inputs of a component."""
    key, value = (inputs[state.input] for state in llama_signatures.cache_names(layer))
    return key, value


def present_of(caches: Caches, first: int) -> dict[str, Any]:
    """Return the caches of layers as outputs by name; ``first`` is the number of the first layer."""
    return {
        state.output: part
        for layer, cache in enumerate(caches, first)
        for state, part in zip(llama_signatures.cache_names(layer), cache, strict=True)
    }
