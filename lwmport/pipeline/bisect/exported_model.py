"""Which component a model of others is an export of, and the inputs on which both can be run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from lwmport.checkpoints.description import component_of
from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import PortError, UsageError
from lwmport.models.families import USUAL
from lwmport.models.options import Options
from lwmport.models.specs import looks_like
from lwmport.pipeline.bisect.fitted_inputs import Fitted, fitted
from lwmport.pipeline.bisect.request import JAX, BisectRequest
from lwmport.pipeline.reopen import find
from lwmport.pipeline.validate.test_inputs import TestInputs, sampling_for
from lwmport.runtime.pieces.spec import Pieces
from lwmport.types import Array, Component, Weights

BATCH: Final = 1

Case: TypeAlias = Mapping[str, Array]
"""Inputs of the component."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A component that a file may be an export of, and its weights. ``source`` describes these."""

    component: Component
    weights: Weights
    source: str


def fitting(request: BisectRequest, file: Pieces) -> tuple[Model, list[Case]]:
    """Return the model of which the file may be an export, and the cases in which both can be run."""
    reasons = []
    for model in _models(request):
        try:
            sampling = sampling_for(request.inputs, request.samples, request.checkpoint, [model.component])
            trials = TestInputs(model.component, model.weights, sampling.of(BATCH)).trials(BATCH)
            cases = [trial.made.inputs for trial in trials]
            fitted(model.component, cases, file.inputs, file.outputs)
            return model, [case for case in cases if _fits(model.component, case, file)]
        except UsageError as error:
            reasons.append(str(error))
    raise UsageError(reasons[-1] if reasons else "")


def _fits(component: Component, case: Case, file: Pieces) -> bool:
    try:
        fit_of(component, case, file)
    except UsageError:
        return False
    return True


def fit_of(component: Component, case: Case, file: Pieces, heads: int = 0) -> Fitted:
    """Return a run of both in a case.

    Raises:
        UsageError: the file cannot take it.
    """
    return fitted(component, [case], file.inputs, file.outputs, heads)


def _models(request: BisectRequest) -> list[Model]:
    """Return the components that a reference or a checkpoint tells."""
    if request.reference != JAX:
        made = find(Path(request.reference), request.checkpoint)
        if made is None:
            raise UsageError(
                f"expected --reference to be what lwmport converted, or a model with the same operators as "
                f"{request.artifact}, found {request.reference}"
            )
        source = str(made.manifest.weights["description"])
        return [Model(component=made.component(part.name), weights=made.component_weights(part.name), source=source)
                for part in made.parts]  # fmt: skip
    asked = f"name a folder that lwmport converted with --reference, for nothing tells what {request.artifact} is"
    if request.checkpoint is None:
        raise UsageError(
            f"expected --reference or --checkpoint for a model that has no manifest, found neither; {asked}"
        )
    checkpoint = open_checkpoint(request.checkpoint)
    name = component_of(checkpoint) or looks_like(checkpoint.specs)
    if not name:
        raise UsageError(f"expected a checkpoint that tells its component, found {request.checkpoint}; {asked}")
    try:
        family, weights = open_model(name, request.checkpoint, USUAL, Options(), 0)
    except PortError as error:
        raise UsageError(f"{error}; {asked}") from error
    return [Model(component=part, weights=component_weights(family, part, weights),
                  source=str(weights.source["description"])) for part in family.references]  # fmt: skip
