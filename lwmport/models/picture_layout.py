"""A component that takes its pictures with other axes: channels first, as ONNX and most vendors' tools have them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from lwmport.types import Component, Kind, TensorSpec

LAYOUT: Final = "NHWC"
"""The layout in which components compute."""


def axes_of(layout: str) -> tuple[int, ...]:
    """Return which axes of `LAYOUT` another layout has, in its order."""
    return tuple(LAYOUT.index(axis) for axis in layout)


def in_layout(component: Component, layout: str) -> Component:
    """Return the component with each picture that it takes in a layout, ``nchw`` or ``nhwc``; outputs stay."""
    layout = layout.upper()
    shown = {spec.name for spec in component.signature.inputs if spec.kind is Kind.PICTURE}
    if not shown or layout == LAYOUT:
        return component
    back = tuple(layout.index(axis) for axis in LAYOUT)

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        return component.apply(weights, {**inputs, **{name: inputs[name].transpose(back) for name in shown}})

    inputs = tuple(_turned(spec, layout) if spec.name in shown else spec for spec in component.signature.inputs)
    return replace(component, signature=replace(component.signature, inputs=inputs), apply=apply)


def _turned(spec: TensorSpec, layout: str) -> TensorSpec:
    return replace(spec, shape=tuple(spec.shape[axis] for axis in axes_of(layout)), layout=layout)
