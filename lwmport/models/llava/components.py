"""The components of LLaVA's image side: its parts, and both in one program."""

from collections.abc import Callable
from functools import cache
from typing import Any

from lwmport.models.flax_modules import module_weights
from lwmport.models.llava.config import LlavaConfig
from lwmport.models.llava.network import Llava
from lwmport.models.options import Options
from lwmport.models.vit.part import part
from lwmport.models.vit.pictures import pixel_values, states
from lwmport.types import Component, TensorSpec, WeightSpec


@cache
def llava_weights(config: LlavaConfig) -> dict[str, WeightSpec]:
    """Return the shape and dtype of every weight that is used, by name; nothing is allocated."""
    return module_weights(Llava(config), (1, config.image_size, config.image_size, 3))


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
    weights = {key: spec for key, spec in llava_weights(config).items() if key.startswith(prefix)}
    return part(name, config, module=Llava(config), method=method, edges=edges, weights=weights, feeder=feeder)


def _image_embeds(config: LlavaConfig) -> TensorSpec:
    return states("image_embeds", config.patches, config.hidden_size, "states of each patch, row by row")


def _image_features(config: LlavaConfig) -> TensorSpec:
    described = "what stands in the place of the picture among the embeddings of the language model"
    return states("image_features", config.patches, config.text_hidden_size, described)
