"""A family of models in one file: a picture to features, features to logits."""

from dataclasses import dataclass
from typing import Any

from lwmport.models.configuration import PlainConfig
from lwmport.models.options import Options
from lwmport.models.spec import FamilySpec, PartSpec
from lwmport.types import (
    Component,
    Kind,
    Normalisation,
    Preprocessing,
    Signature,
    TensorSpec,
    Tolerance,
    Tolerances,
    WeightSpec,
)

COLOURS = Normalisation(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
CLOSE = Tolerance(atol=1e-5, rtol=1e-5, why="Two layers: float32 lowerings of them agree to 1e-6.", min_sqnr_db=100.0)


@dataclass(frozen=True, kw_only=True)
class Config(PlainConfig):
    size: int = 32
    width: int = 8
    classes: int = 10


CONFIGS = {"small": Config(), "debug": Config(size=16, width=4, classes=3)}


def body(config: Config, _: Options) -> Component:
    def apply(weights: Any, inputs: Any) -> dict[str, Any]:
        from jax import lax, numpy

        layout = ("NHWC", "HWIO", "NHWC")
        x = lax.conv_general_dilated(inputs["pixels"], weights["conv/kernel"], (2, 2), "SAME", dimension_numbers=layout)
        return {"features": numpy.tanh(x + weights["conv/bias"]).mean((1, 2))}

    picture = {"kind": Kind.PICTURE, "layout": "NHWC", "value_range": COLOURS.value_range}
    edges = tensor("pixels", config.size, config.size, 3, **picture), tensor("features", config.width)
    weights = {"conv/kernel": (3, 3, 3, config.width), "conv/bias": (config.width,)}
    return component("tiny-body", config, edges, weights, apply=apply)


def head(config: Config, options: Options) -> Component:
    def apply(weights: Any, inputs: Any) -> dict[str, Any]:
        return {"logits": inputs["features"] @ weights["dense/kernel"]}

    edges = tensor("features", config.width), tensor("logits", config.classes)
    weights = {"dense/kernel": (config.width, config.classes)}
    return component("tiny-head", config, edges, weights, apply=apply, feeder=body(config, options))


def tensor(name: str, *shape: int, **more: Any) -> TensorSpec:
    return TensorSpec(name=name, shape=("batch", *shape), dtype="float32", **more)


def component(name: str, config: Config, edges: Any, shapes: Any, **more: Any) -> Component:
    signature = Signature(inputs=edges[:1], outputs=edges[1:])
    weights = {key: WeightSpec(shape=shape, dtype="float32") for key, shape in shapes.items()}
    values = config.to_json()
    return Component(name=name, family=FAMILY.name, config=values, signature=signature, weights=weights, **more)


FAMILY = FamilySpec(
    name="tiny-classifier",
    components=(
        PartSpec(name="tiny-body", summary="a picture to features", factory="tiny_classifier:body", prefix="body/"),
        PartSpec(
            name="tiny-head",
            summary="features to logits",
            factory="tiny_classifier:head",
            rename={"dense/": "classifier/"},
        ),
    ),
    groups={"tiny": ("tiny-body", "tiny-head")},
    configs="tiny_classifier:CONFIGS",
    preprocessing={"pixels": Preprocessing(normalisation=COLOURS)},
    words={"outputs/logits": "one number for each class; the largest is the answer"},
    tolerances=Tolerances(usual={"float32": CLOSE}),
)
