"""Weights get what rounds them by runs of the model: for a conversion, or as a manifest tells of one."""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from lwmport.checkpoints.model_weights import ModelWeights
from lwmport.errors import ArtifactError
from lwmport.manifest import CALIBRATION, ComponentEntry
from lwmport.models.families import Family
from lwmport.pipeline.calibration.rounder import CalibratedRounder
from lwmport.pipeline.calibration.text import CalibrationText, calibration_text
from lwmport.pipeline.observer import Observer


def attach(
    family: Family, weights: ModelWeights, checkpoint: str | None, asked: Path | None, observer: Observer
) -> CalibratedRounder | None:
    """Return what rounds the weights of a conversion, where its method runs the model; nothing is run yet.

    Raises:
        UsageError: there is no text to run on.
    """
    made = CalibratedRounder(family=family, weights=weights, text=CalibrationText(source=""), observer=observer)
    first = next((component for component in family.references if made.names(component)), None)
    if first is None:
        return None
    made.text = calibration_text(family, weights, checkpoint, asked, first)
    weights.rounder = made
    return made


def attach_again(family: Family, weights: ModelWeights, parts: Sequence[ComponentEntry]) -> None:
    """Give weights what rounds them as those components of a manifest were that tell it, into a folder of passing work.

    Raises:
        ArtifactError: the manifest does not say so as we write it.
    """
    told = {part.name: part.details[CALIBRATION] for part in parts if CALIBRATION in part.details}
    try:
        text = CalibrationText.from_json(next(iter(told.values())))
        expected = {name: str(value["sha256"]) for name, value in told.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"expected a text and a digest in {CALIBRATION} of the manifest, found: {error}") from error
    folder = Path(tempfile.mkdtemp(prefix="lwmport-"))
    made = CalibratedRounder(family=family, weights=weights, text=text, folder=folder, expected=expected)
    weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
    weights.rounder = made
