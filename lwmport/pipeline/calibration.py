"""Samples to quantise with: those of a folder, or some that are made anew."""

from pathlib import Path
from typing import Final

import numpy as np

from lwmport import manifest
from lwmport.errors import ArtifactError, one_line
from lwmport.targets.compile.job import Gear
from lwmport.types import Array, Signature

SAMPLES: Final = 8
"""Samples that are made up where none are given."""


def given_samples(folder: Path, signature: Signature) -> dict[str, Array]:
    """Return the samples in a folder, an INPUT.npy [samples, ...] for each input; nothing in them is executed.

    Raises:
        ArtifactError: a file is missing, or is no plain array.
    """
    found: dict[str, Array] = {}
    for spec in signature.inputs:
        path = folder / f"{spec.name}.npy"
        try:
            found[spec.name] = np.lib.format.open_memmap(path, mode="r")
        except (OSError, OverflowError, ValueError) as error:
            raise ArtifactError(f"expected an array of samples at {path}, found: {one_line(error)}") from error
    return found


def made_samples(
    made: manifest.Manifest, part: manifest.ComponentEntry, checkpoint: str | None, gear: Gear
) -> dict[str, Array]:
    """Return samples of a component of ours, [samples, ...] each: photographs, their codes, or seeded tokens.

    Raises:
        ArtifactError: the manifest names a component that its model does not have.
        CheckpointError: the weights that were converted are needed, and not given.
    """
    from lwmport.models.families import resolve
    from lwmport.models.options import Options
    from lwmport.pipeline.components import component_of
    from lwmport.pipeline.samples import take
    from lwmport.pipeline.weights import component_weights, reopen_weights

    family = resolve(made.component, made.config, Options.from_json(made.options))
    component = component_of(family, part.name)
    weights = component_weights(family, component, reopen_weights(family, made, checkpoint))
    batch = part.signature.inputs[0].shape[0]
    size = batch if isinstance(batch, int) else gear.get(batch, 1)
    taken = take(component, weights, part.signature, size, (0, SAMPLES)).calibration
    return {spec.name: np.stack([sample[spec.name] for sample in taken]) for spec in part.signature.inputs}
