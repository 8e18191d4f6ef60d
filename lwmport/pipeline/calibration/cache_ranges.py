"""Scales of a cache of codes: how far keys and values reach in a run of the reference, channel by channel."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jax.numpy as jnp
import numpy as np

from lwmport.checkpoints.model_weights import ModelWeights, component_weights
from lwmport.errors import CheckpointError
from lwmport.models.attention.coded import MOST
from lwmport.models.families import Family
from lwmport.models.narrow_cache import CODES
from lwmport.pipeline.calibration.cases import cases_of
from lwmport.pipeline.calibration.text import calibration_text
from lwmport.pipeline.observer import Observer
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array, Component, Signature, TensorSpec, Weights

UNUSED: Final = 1.0
"""The scale of a channel that is 0 throughout."""


def cache_scales(
    family: Family, weights: ModelWeights, checkpoint: str | None, asked: Path | None, observer: Observer
) -> tuple[dict[str, dict[str, Array]], str]:
    """Return component -> input -> scales float32 [1, heads, 1, head_dim], and what was run, in words.

    Both are empty where no cache of codes is asked for.

    Raises:
        UsageError: there is no text to run on.
        CheckpointError: keys or values are not finite.
    """
    found: dict[str, dict[str, Array]] = {}
    words = ""
    for component in family.references if family.options.cache == CODES else ():
        own = component_weights(family, component, weights)
        text = calibration_text(family, weights, checkpoint, asked, component)
        words = text.words
        observer.phase(f"{component.name}: find the scales of its cache on {words}")
        with tempfile.TemporaryDirectory(prefix="lwmport-") as folder:
            found[component.name] = scales(component, own, cases_of(component, own, text, Path(folder)))
    return found, words


def scales(component: Component, weights: Weights, feeds: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the scales of each state of a component, float32 [1, heads, 1, head_dim], such that nothing seen is cut.

    Raises:
        CheckpointError: keys or values are not finite.
    """
    seen = reference(reaching(component), weights).run_all(feeds)
    found: dict[str, Array] = {}
    for name in seen[0]:
        reach = np.max([one[name] for one in seen], axis=0).astype(np.float32)
        if not np.isfinite(reach).all():
            raise CheckpointError(f"expected finite numbers in {name}, found NaN or infinite ones")
        found[name] = np.where(reach > 0, reach / np.float32(MOST), np.float32(UNUSED))
    return found


def reaching(component: Component) -> Component:
    """Return the component that gives, for each state, how far its new tokens reach: float32 [1, heads, 1, head_dim].

    Neighbouring channels that a position turns into each other reach as far as both together, wherever they stand.
    """
    states = component.signature.states

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        made = component.apply(weights, inputs)
        new = {state.input: made[state.output][:, :, inputs[state.input].shape[2] :] for state in states}
        return {name: _reach(value, turned=name in component.turned) for name, value in new.items()}

    shapes = {spec.name: spec.shape for spec in component.signature.inputs}
    outputs = tuple(TensorSpec(name=one.input, shape=_flat(shapes[one.input]), dtype="float32") for one in states)
    return replace(component, apply=apply, signature=Signature(inputs=component.signature.inputs, outputs=outputs))


def _reach(values: Any, *, turned: bool) -> Any:
    squares = jnp.square(values)
    if turned:
        pairs = squares.reshape(*values.shape[:3], -1, 2).sum(axis=-1, keepdims=True)
        squares = jnp.broadcast_to(pairs, (*pairs.shape[:-1], 2)).reshape(values.shape)
    return jnp.sqrt(squares.max(axis=(0, 2), keepdims=True))


def _flat(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    return (1, shape[1], 1, shape[3])
