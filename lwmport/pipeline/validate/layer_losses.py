"""What each layer of an artifact that is not float32 loses, where a tapped model was written beside it: stated."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lwmport.atomic import is_interruption
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import said
from lwmport.manifest import ComponentEntry
from lwmport.models.rounding import without_rounding
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.runtime.runners.jax import reference
from lwmport.types import TAPS, Runner, Weights
from lwmport.validators.accuracy import LayerLoss
from lwmport.validators.values import sqnr_db

SCALED: Final = (
    "What each composite loses is not stated: channels are scaled (awq), so values inside of a layer are others than "
    "with exact weights. --taps layers has it."
)


def layer_losses(
    folder: Path,
    part: ComponentEntry,
    weights: Weights,
    run: ReferenceRun,
    precision: str,
    opener: Callable[[Path], Runner],
) -> tuple[tuple[LayerLoss, ...], tuple[str, ...]]:
    """Return the SQNR of each tap beside the float32 model with exact weights, or none and why there is none.

    It is measured on the inputs of the first run, and costs a run of both. Of a float32 artifact, and of one without
    taps, nothing is said.

    Args:
        folder: where the artifact and the tapped model lie, as they were just written.
        part: the manifest's entry of it.
        weights: those that were converted.
        run: of the reference.
        precision: what the artifact computes in.
        opener: opens the tapped model.
    """
    stored = isinstance(weights, StoredWeights)
    if part.taps is None or (precision == "float32" and not stored):
        return (), ()
    if isinstance(weights, StoredWeights) and weights.scaled and part.taps.kind != TAPS[0]:
        return (), (SCALED,)
    exact = weights.exact if isinstance(weights, StoredWeights) else weights
    try:
        with contextlib.closing(opener(folder / part.taps.path)) as runner:
            found = runner.run(run.fed(part.signature.inputs))
    except Exception as error:  # runtimes raise dozens of unrelated types
        if is_interruption(error):
            raise
        return (), (f"What each layer loses is not stated: {said(error)}",)
    values = reference(without_rounding(run.component), exact).taps(run.inputs, part.taps.kind)
    return tuple(
        LayerLoss(name=name, sqnr_db=sqnr_db(value, found[name])) for name, value in values if name in found
    ), ()
