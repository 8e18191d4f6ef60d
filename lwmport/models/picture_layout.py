"""A component that takes its pictures with other axes: channels first, as ONNX and most vendors' tools have them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from lwmport.types import Component, Kind, TensorSpec

CHANNELS_LAST: Final = "NHWC"


def in_layout(component: Component, layout: str) -> Component:
    """Return the component with each picture that it takes in a layout, ``nchw`` or ``nhwc``; outputs stay."""
    axes = tuple(CHANNELS_LAST.index(axis) for axis in layout.upper())
    shown = {spec.name for spec in component.signature.inputs if spec.kind is Kind.PICTURE}
    if not shown or layout.upper() == CHANNELS_LAST:
        return component
    back = tuple(layout.upper().index(axis) for axis in CHANNELS_LAST)

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        return component.apply(weights, {**inputs, **{name: inputs[name].transpose(back) for name in shown}})

    inputs = tuple(_turned(spec, axes) if spec.name in shown else spec for spec in component.signature.inputs)
    return replace(component, signature=replace(component.signature, inputs=inputs), apply=apply)


def _turned(spec: TensorSpec, axes: tuple[int, ...]) -> TensorSpec:
    return replace(
        spec,
        shape=tuple(spec.shape[axis] for axis in axes),
        layout="".join(CHANNELS_LAST[axis] for axis in axes),
    )
