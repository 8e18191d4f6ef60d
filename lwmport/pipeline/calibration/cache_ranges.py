"""Scales of a cache of codes: how far keys and values reach in a run of the reference, channel by channel."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.checkpoints.model_weights import ModelWeights, component_weights
from lwmport.errors import CheckpointError
from lwmport.models.attention.coded import MOST
from lwmport.models.families import Family
from lwmport.models.narrow_cache import CODES, reaching
from lwmport.pipeline.calibration.cases import cases_of
from lwmport.pipeline.calibration.text import calibration_text
from lwmport.pipeline.observer import Observer
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array, Component, Weights

UNUSED: Final = 1.0
"""The scale of a channel that is 0 throughout."""


def check_cache_text(family: Family, weights: ModelWeights, checkpoint: str | None, asked: Path | None) -> None:
    """Return if there is what a cache of codes, where one is asked for, is going to be measured on.

    Raises:
        UsageError: there is no text to run on.
    """
    for component in family.references if family.options.cache == CODES else ():
        calibration_text(family, weights, checkpoint, asked, component)


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
