"""The model: one convolution, the mean of each channel, one matrix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jax import lax
from jax import numpy as jnp

from lwmport.models.configuration import PlainConfig
from lwmport.models.options import Options
from lwmport.types import Component, Kind, Signature, TensorSpec, WeightSpec
from tiny_classifier.family import FAMILY, PREPROCESSING

Arrays = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Config(PlainConfig):
    size: int = 32
    width: int = 8
    classes: int = 10


CONFIGS = {"small": Config(), "debug": Config(size=16, width=4, classes=3)}


def body(config: Config, _: Options) -> Component:
    def apply(weights: Arrays, inputs: Arrays) -> dict[str, Any]:
        layout = ("NHWC", "HWIO", "NHWC")
        x = lax.conv_general_dilated(inputs["pixels"], weights["conv/kernel"], (2, 2), "SAME", dimension_numbers=layout)
        return {"features": jnp.tanh(x + weights["conv/bias"]).mean((1, 2))}

    shape = ("batch", config.size, config.size, 3)
    limits = PREPROCESSING.value_range
    pixels = TensorSpec(
        name="pixels", shape=shape, dtype="float32", kind=Kind.PICTURE, layout="NHWC", value_range=limits
    )
    weights = {"conv/kernel": (3, 3, 3, config.width), "conv/bias": (config.width,)}
    return component("tiny-body", config, (pixels, values("features", config.width)), weights, apply)


def head(config: Config, options: Options) -> Component:
    def apply(weights: Arrays, inputs: Arrays) -> dict[str, Any]:
        return {"logits": inputs["features"] @ weights["dense/kernel"]}

    edges = (values("features", config.width), values("logits", config.classes))
    weights = {"dense/kernel": (config.width, config.classes)}
    return component("tiny-head", config, edges, weights, apply, feeder=body(config, options))


def values(name: str, size: int) -> TensorSpec:
    return TensorSpec(name=name, shape=("batch", size), dtype="float32")


def component(name: str, config: Config, edges: Any, weights: Arrays, apply: Any, feeder: Any = None) -> Component:
    return Component(
        name=name,
        family=FAMILY.name,
        signature=Signature(inputs=edges[:1], outputs=edges[1:]),
        weights={key: WeightSpec(shape=shape, dtype="float32") for key, shape in weights.items()},
        config=config.to_json(),
        apply=apply,
        feeder=feeder,
    )
