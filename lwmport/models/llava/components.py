"""The components of LLaVA's image side: its parts, and both in one program."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import flax.traverse_util
import jax

from lwmport.models.llava.config import LlavaConfig
from lwmport.models.llava.network import Llava
from lwmport.models.options import Options
from lwmport.models.vit.pictures import pixel_values, states
from lwmport.types import Component, Signature, TensorSpec, WeightSpec


@cache
def llava_weights(config: LlavaConfig) -> dict[str, WeightSpec]:
    """Return the shape and dtype of every weight that is used, by name; nothing is allocated."""
    picture = jax.ShapeDtypeStruct((1, config.image_size, config.image_size, 3), "float32")
    tree = jax.eval_shape(Llava(config).init, jax.random.key(0), picture)["params"]
    flat = flax.traverse_util.flatten_dict(tree, sep="/")
    return {name: WeightSpec(shape=leaf.shape, dtype=str(leaf.dtype)) for name, leaf in sorted(flat.items())}


def vision(config: LlavaConfig, _: Options) -> Component:
    """Return the tower up to the layer that is read: pictures in, image_embeds out."""
    edges = pixel_values(config.image_size), _image_embeds(config)
    return _component("llava-vision", config, edges, Llava.see, "vision/")


def projector(config: LlavaConfig, options: Options) -> Component:
    """Return the projector: image_embeds in, image_features out."""
    edges = _image_embeds(config), _image_features(config)
    return _component("llava-projector", config, edges, Llava.project, "projector/", vision(config, options))


def image(config: LlavaConfig, _: Options) -> Component:
    """Return the whole image side: pictures in, image_features out."""
    edges = pixel_values(config.image_size), _image_features(config)
    return _component("llava-image", config, edges, Llava.__call__, "")


def _component(
    name: str,
    config: LlavaConfig,
    edges: tuple[TensorSpec, TensorSpec],
    method: Callable[..., Any],
    prefix: str,
    feeder: Component | None = None,
) -> Component:
    given, made = edges

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        params = flax.traverse_util.unflatten_dict(dict(weights), sep="/")
        return {made.name: Llava(config).apply({"params": params}, inputs[given.name], method=method)}

    return Component(
        name=name,
        family="llava",
        signature=Signature(inputs=(given,), outputs=(made,)),
        weights={key: spec for key, spec in llava_weights(config).items() if key.startswith(prefix)},
        config=config.to_json(),
        apply=apply,
        feeder=feeder,
    )


def _image_embeds(config: LlavaConfig) -> TensorSpec:
    return states("image_embeds", config.patches, config.hidden_size, "states of each patch, row by row")


def _image_features(config: LlavaConfig) -> TensorSpec:
    described = "what stands in the place of the picture among the embeddings of the language model"
    return states("image_features", config.patches, config.text_hidden_size, described)
