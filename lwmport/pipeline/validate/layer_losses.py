"""What each layer of an artifact that is not float32 loses, where a tapped model was written beside it: stated."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.manifest import ComponentEntry
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.runtime.runners.jax import reference
from lwmport.types import Runner, Weights
from lwmport.validators.accuracy import LayerLoss
from lwmport.validators.values import sqnr_db


def layer_losses(
    folder: Path,
    part: ComponentEntry,
    weights: Weights,
    run: ReferenceRun,
    precision: str,
    opener: Callable[[Path], Runner],
) -> tuple[LayerLoss, ...]:
    """Return the SQNR of each tap beside the float32 model with exact weights, on the inputs of the first run.

    None of a float32 artifact, nor of one without taps. It costs a run of both.

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
        return ()
    exact = weights.exact if isinstance(weights, StoredWeights) else weights
    with contextlib.closing(opener(folder / part.taps.path)) as runner:
        found = runner.run(run.fed(part.signature.inputs))
    values = reference(run.component, exact).taps(run.inputs, part.taps.kind)
    return tuple(LayerLoss(name=name, sqnr_db=sqnr_db(value, found[name])) for name, value in values if name in found)
