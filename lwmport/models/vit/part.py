"""A part of an image side as a component: one method of its module, with one input and one output."""

from collections.abc import Callable, Mapping
from typing import Any

from flax import linen as nn

from lwmport.models.flax_modules import run_module
from lwmport.models.vit.checks import TowerConfig
from lwmport.types import Component, Signature, TensorSpec, WeightSpec


def part(  # noqa: PLR0913  # what a component is made of
    name: str,
    config: TowerConfig,
    *,
    module: nn.Module,
    method: Callable[..., Any],
    edges: tuple[TensorSpec, TensorSpec],
    weights: Mapping[str, WeightSpec],
    feeder: Component | None = None,
) -> Component:
    """Return a component of the family that its name begins with.

    Args:
        name: FAMILY-PART.
        config: of the module.
        module: holds ``method``.
        method: what the component computes.
        edges: its input and its output.
        weights: those that the method reads.
        feeder: what gives realistic inputs.
    """
    given, made = edges

    def apply(values: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {made.name: run_module(module, values, method, inputs[given.name])}

    return Component(
        name=name,
        family=name.partition("-")[0],
        signature=Signature(inputs=(given,), outputs=(made,)),
        weights=weights,
        config=config.to_json(),
        apply=apply,
        feeder=feeder,
    )
