"""A component that takes its pictures as bytes: what makes numbers of them is the front of its program.

A picture is resized before it comes: pictures have all sizes, and a program has one.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.models.spec import FamilySpec
from lwmport.types import Component, Kind, Preprocessing, TensorSpec

DTYPE: Final = "uint8"
RANGE: Final = (0.0, 255.0)
LAYOUT: Final = "NHWC"

Steps: TypeAlias = tuple[Any, Any]
"""Shift and scale, float32, of each channel or of all: a byte becomes ``(byte - shift) * scale``."""


def with_byte_pictures(component: Component, family: FamilySpec) -> Component:
    """Return the component with each picture as bytes [batch, height, width, channels], whatever layout it computes in.

    The bytes are made numbers in float32, also where the component computes in another precision. A component that
    feeds it takes bytes too; one without pictures stays as it is.
    """
    if component.feeder is not None:
        component = replace(component, feeder=with_byte_pictures(component.feeder, family))
    shown = {spec.name: spec for spec in component.signature.inputs if spec.kind is Kind.PICTURE}
    if not shown:
        return component
    steps = {name: steps_of(spec, family.preprocessing.get(name, Preprocessing())) for name, spec in shown.items()}

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        made = {name: _numbers(inputs[name], spec, steps[name]) for name, spec in shown.items()}
        return component.apply(weights, {**inputs, **made})

    inputs = tuple(
        _as_bytes(spec, steps[spec.name]) if spec.name in shown else spec for spec in component.signature.inputs
    )
    return replace(
        component,
        signature=replace(component.signature, inputs=inputs),
        apply=apply,
        quantizer=_quantizer(component, shown, steps),
    )


def steps_of(spec: TensorSpec, how: Preprocessing) -> Steps:
    """Return what makes numbers of bytes: of mean and deviation, or of the range that the input has.

    ``(byte / 255 - mean) / deviation`` is ``(byte - 255 mean) * 1 / (255 deviation)``. The second rounds less often:
    the largest difference over all bytes is in docs/preprocessing.md.
    """
    if how.normalisation is None:
        low, high = spec.value_range or (-1.0, 1.0)
        scale = (high - low) / RANGE[1]
        return np.float32(-low / scale), np.float32(scale)
    mean, deviation = (np.asarray(values) for values in (how.normalisation.mean, how.normalisation.deviation))
    return np.float32(RANGE[1] * mean), np.float32(1 / (RANGE[1] * deviation))


def _numbers(pictures: Any, spec: TensorSpec, steps: Steps) -> Any:
    shift, scale = steps
    found = (pictures.astype("float32") - shift) * scale
    axes = tuple(LAYOUT.index(axis) for axis in spec.layout or LAYOUT)
    return found.transpose(axes).astype(spec.dtype)


def _as_bytes(spec: TensorSpec, steps: Steps) -> TensorSpec:
    shift, scale = (", ".join(f"{value:.9g}" for value in np.atleast_1d(numbers)) for numbers in steps)
    sizes = dict(zip(spec.layout or LAYOUT, spec.shape, strict=True))
    return replace(
        spec,
        shape=tuple(sizes[axis] for axis in LAYOUT),
        dtype=DTYPE,
        layout=LAYOUT,
        value_range=RANGE,
        description=f"bytes; the model computes (byte - shift) * scale, shift {shift}, scale {scale}",
    )


def _quantizer(component: Component, shown: Mapping[str, TensorSpec], steps: Mapping[str, Steps]) -> Any:
    """Return what tells the vectors that are quantized, of bytes too."""
    own = component.quantizer
    if own is None:
        return None

    def vectors(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        made = {name: _numbers(inputs[name], spec, steps[name]) for name, spec in shown.items()}
        return own.vectors(weights, {**inputs, **made})

    return replace(own, vectors=vectors)
