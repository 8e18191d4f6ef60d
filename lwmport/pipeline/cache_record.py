"""Scales of caches of codes as a manifest keeps them: by input of the component, float32 in base64."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from lwmport.errors import ArtifactError
from lwmport.manifest import SCALES, ComponentEntry
from lwmport.types import Array, Component, Dim


def packed(component: Component) -> dict[str, Any]:
    """Return the detail that holds the scales of a component; none where its cache holds no codes."""
    texts = {name: base64.b64encode(scale.astype("<f4").tobytes()).decode() for name, scale in component.scales.items()}
    return {SCALES: texts} if texts else {}


def unpacked(entry: ComponentEntry) -> dict[str, Array]:
    """Return the scales that `packed` told, float32 [1, heads, 1, head_dim] by input.

    Raises:
        ArtifactError: they are damaged, or not for the inputs of the component.
    """
    told = entry.details.get(SCALES, {})
    shapes = {spec.name: spec.shape for spec in entry.signature.inputs}
    if not isinstance(told, dict) or not set(told) <= set(shapes):
        raise ArtifactError(f"expected scales of the inputs of {entry.name} in the manifest, found {str(told)[:80]}")
    return {name: _unpacked(f"{entry.name}: {name}", text, shapes[name]) for name, text in told.items()}


def _unpacked(name: str, text: Any, shape: Sequence[Dim]) -> Array:
    try:
        _, heads, _, channels = (size if isinstance(size, int) else 0 for size in shape)
        found = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
        whole = found.reshape(1, heads, 1, channels)
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"{name}: expected a scale for each channel in the manifest, found: {error}") from error
    if not (np.isfinite(whole).all() and (whole > 0).all()):
        raise ArtifactError(f"{name}: expected scales above 0 in the manifest, found others")
    return whole


def facts(components: Sequence[Component]) -> dict[str, Any]:
    """Return what the identity of a request has of the scales, by component."""
    return {f"{one.name} cache": packed(one) for one in components if one.scales}
