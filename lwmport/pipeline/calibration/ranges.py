"""Ranges of what the matrices of a model are multiplied with, for folders whose readers are told them.

The reference runs a weight at a time, on rounded weights, so that what lies behind a matrix sees what it has become.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.model_weights import ModelWeights, component_weights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import CheckpointError
from lwmport.models.families import Family
from lwmport.models.packed_schemes import is_ranged
from lwmport.pipeline.calibration.cases import cases_of, without_states
from lwmport.pipeline.calibration.text import calibration_text
from lwmport.pipeline.observer import Observer
from lwmport.runtime.runners.jax_matrices import MatrixRunner
from lwmport.types import Array, Component, Levels, Rounded

STEPS: Final = 255
"""Between the least and the largest of 256 numbers."""

LEAST: Final = float(np.finfo(np.float16).smallest_normal)
"""The least scale: a float16 below it has fewer bits."""


def product_ranges(
    family: Family, weights: ModelWeights, checkpoint: str | None, asked: Path | None, observer: Observer
) -> tuple[dict[str, dict[str, Rounded]], str]:
    """Return component -> matrix -> what it is multiplied with is rounded to, and what was run, in words.

    Both are empty where the options ask for no such folder.

    Raises:
        UsageError: there is no text to run on.
        CheckpointError: the numbers inside of the model are not finite.
    """
    found: dict[str, dict[str, Rounded]] = {}
    words = ""
    for component in family.references if is_ranged(family.options) else ():
        stored = component_weights(family, component, weights)
        names = [name for name, own in stored.stored.items() if own.scales] if isinstance(stored, StoredWeights) else []
        if not names or not isinstance(stored, StoredWeights):
            continue
        text = calibration_text(family, weights, checkpoint, asked, component)
        words = text.words
        observer.phase(f"{component.name}: find the ranges of {len(names)} matrices on {words}")
        with tempfile.TemporaryDirectory(prefix="lwmport-") as folder:
            ends = _ends(component, stored, names, cases_of(component, stored, text, Path(folder)))
        found[component.name] = {
            name: Rounded(inputs=half_levels(*both), outputs=None) for name, both in sorted(ends.items())
        }
    return found, words


def half_levels(low: float, high: float) -> Levels:
    """Return the numbers from the least to the largest value, zero among them; the scale is a float16."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = max((high - low) / STEPS, LEAST)
    near = np.float16(step)
    scale = float(near if float(near) >= step else np.nextafter(near, np.float16(np.inf)))
    return Levels(scale=scale, zero=int(np.clip(np.rint(-128 - low / scale), -128, 127)))


def _ends(
    component: Component, weights: StoredWeights, names: Sequence[str], cases: Sequence[Mapping[str, Array]]
) -> dict[str, tuple[float, float]]:
    """Return the least and the largest value that each matrix is multiplied with."""
    found: dict[str, tuple[float, float]] = {}

    def look(name: str, factors: Sequence[Any]) -> Array:
        if name in names and factors:
            both = [end for each in factors for end in (float(np.min(each)), float(np.max(each)))]
            if not np.isfinite(both).all():
                raise CheckpointError(f"{name}: expected finite numbers in front of it, found NaN or infinite ones")
            found[name] = min(both), max(both)
        return weights.read(name)

    MatrixRunner(without_states(component), weights).run_up_to(cases, names, look)
    missing = [name for name in names if name not in found]
    if missing:
        raise CheckpointError(f"expected a plain product with {missing[0]}, found none in {component.name}")
    return found
