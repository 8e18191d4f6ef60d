"""The components of MiniGPT-4's image side: its parts, and all of them in one program."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import flax.traverse_util
import jax

from lwmport.models.minigpt4.config import MiniGPT4Config
from lwmport.models.minigpt4.network import MiniGPT4
from lwmport.models.options import Options
from lwmport.models.vit.pictures import pixel_values, states
from lwmport.types import Component, Signature, TensorSpec, WeightSpec

_TOWER: Final = ("vit/", "ln_vision/")
_QUERIES: Final = ("query_tokens", "qformer/")
_PROJECTION: Final = ("llama_proj/",)


@cache
def minigpt4_weights(config: MiniGPT4Config) -> dict[str, WeightSpec]:
    """Return the shape and dtype of every weight, by name; nothing is allocated."""
    picture = jax.ShapeDtypeStruct((1, config.image_size, config.image_size, 3), "float32")
    tree = jax.eval_shape(MiniGPT4(config).init, jax.random.key(0), picture)["params"]
    flat = flax.traverse_util.flatten_dict(tree, sep="/")
    return {name: WeightSpec(shape=leaf.shape, dtype=str(leaf.dtype)) for name, leaf in sorted(flat.items())}


def vision(config: MiniGPT4Config, _: Options) -> Component:
    """Return the tower with its last norm: pictures in, image_embeds out."""
    edges = pixel_values(config.image_size), _image_embeds(config)
    return _component("minigpt4-vision", config, edges, MiniGPT4.see, _TOWER)


def qformer(config: MiniGPT4Config, options: Options) -> Component:
    """Return the Q-Former, where there is one: image_embeds in, query_output out."""
    edges = _image_embeds(config), _query_output(config)
    return _component("minigpt4-qformer", config, edges, MiniGPT4.query, _QUERIES, vision(config, options))


def projection(config: MiniGPT4Config, options: Options) -> Component:
    """Return the projection: query_output in, or image_embeds where there is no Q-Former, image_features out."""
    fed = _seen_queries(config) if config.has_qformer else vision(config, options)
    edges = fed.signature.outputs[0], _image_features(config)
    return _component("minigpt4-projection", config, edges, MiniGPT4.project, _PROJECTION, fed)


def image(config: MiniGPT4Config, _: Options) -> Component:
    """Return the whole image side: pictures in, image_features out."""
    edges = pixel_values(config.image_size), _image_features(config)
    return _component("minigpt4-image", config, edges, MiniGPT4.__call__, ("",))


def _seen_queries(config: MiniGPT4Config) -> Component:
    """Return what feeds the projection: tower and Q-Former, for the Q-Former alone is fed itself."""
    edges = pixel_values(config.image_size), _query_output(config)
    return _component("minigpt4-qformer", config, edges, MiniGPT4.see_and_query, (*_TOWER, *_QUERIES))


def _component(
    name: str,
    config: MiniGPT4Config,
    edges: tuple[TensorSpec, TensorSpec],
    method: Callable[..., Any],
    prefixes: tuple[str, ...],
    feeder: Component | None = None,
) -> Component:
    given, made = edges

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        params = flax.traverse_util.unflatten_dict(dict(weights), sep="/")
        return {made.name: MiniGPT4(config).apply({"params": params}, inputs[given.name], method=method)}

    return Component(
        name=name,
        family="minigpt4",
        signature=Signature(inputs=(given,), outputs=(made,)),
        weights={key: spec for key, spec in minigpt4_weights(config).items() if key.startswith(prefixes)},
        config=config.to_json(),
        apply=apply,
        feeder=feeder,
    )


def _image_embeds(config: MiniGPT4Config) -> TensorSpec:
    described = "normalised states of the class token and of each patch, row by row"
    return states("image_embeds", 1 + config.patches, config.hidden_size, described)


def _query_output(config: MiniGPT4Config) -> TensorSpec:
    described = "what the queries found in the picture"
    return states("query_output", config.num_query_tokens, config.qformer_hidden_size, described)


def _image_features(config: MiniGPT4Config) -> TensorSpec:
    described = "what stands in the place of the picture among the embeddings of the language model"
    return states("image_features", config.tokens, config.text_hidden_size, described)
