"""The verdict on the quantised weights of a folder: read back from its files, are they those that were promised?

A model runs on all of them at once, and within a tolerance. Here every one is compared, and has to be equal.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.checkpoints.huggingface.packed import PackedFolder, packed_folder
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.converters.hf.tensors import items
from lwmport.errors import CheckpointError
from lwmport.models.specs import spec_of
from lwmport.pipeline.validate.judge import Judgement
from lwmport.reports import numbers
from lwmport.types import Array, Component, Kind, Levels, Status, TensorDiff, Tolerance, Weights
from lwmport.validators.metrics import as_mapping
from lwmport.validators.values import value_metrics

SUFFIX: Final = ".hf"
EXACT: Final = Tolerance(atol=0.0, rtol=0.0, why="Codes, scales and zero points are stored exactly.")
NOT_ROUNDED: Final = (
    "What is multiplied was not rounded to 8 bits when this folder ran here: compressed-tensors is not installed, so "
    "weights were read back and multiplied in float32."
)
NOT_ON_DEVICE: Final = (
    "What is multiplied was not rounded to 8 bits when this folder ran here, and is not in the cost: its own reader "
    "does that on a device. Scales and offsets of it, and the factors of sums, were read back, and are as promised."
)


def judge_weights(judgement: Judgement, component: Component, path: Path, weights: Weights) -> Judgement:
    """Return a verdict with that on the quantised weights of a folder; a file, or another folder, keeps its own."""
    if (
        path.suffix != SUFFIX
        or not isinstance(weights, StoredWeights)
        or judgement.validation.status is Status.NOT_JUDGED
    ):
        return judgement
    try:
        folder = packed_folder(path)
        wrong = [] if folder is None else list(_wrong(folder, component, weights))
    except CheckpointError as error:
        return _failed(judgement, str(error), [])
    if wrong:
        return _failed(judgement, "; ".join(f"{diff.name}: {diff.reason}" for diff in wrong), wrong)
    if folder is None:
        return judgement
    notes = [
        f"All {numbers.count(len(folder.quantised))} quantised matrices, read back from the files, are as promised."
    ]
    if folder.rounds_products and judgement.validation.runner != "transformers":
        notes.append(NOT_ROUNDED)
    if weights.inputs:
        notes.append(NOT_ON_DEVICE)
    return replace(judgement, notes=(*judgement.notes, *notes))


def _wrong(folder: PackedFolder, component: Component, weights: StoredWeights) -> Iterator[TensorDiff]:
    """Yield the matrices that are not what was promised."""
    for name, promised, levels in _promised(component, weights):
        module = name.removesuffix(".weight")
        if module not in folder.quantised:
            raise CheckpointError(f"expected {module} among the quantised matrices, found it left out")
        inputs = folder.inputs(module)
        if levels is not None and inputs != (levels.scale, levels.zero):
            raise CheckpointError(
                f"{module}: expected inputs in steps of {levels.scale} from {levels.zero}, found {inputs}"
            )
        found = folder.matrix(module)
        if found.shape != promised.shape:
            raise CheckpointError(f"{name}: expected the shape {promised.shape}, found {found.shape}")
        if not np.array_equal(found, promised):
            count = int(np.count_nonzero(found != promised))
            yield TensorDiff(
                name=name,
                kind=Kind.VALUES,
                status=Status.FAILED,
                reason=f"{numbers.count(count)} of {numbers.count(found.size)} weights are not as promised",
                tolerance=EXACT,
                metrics=as_mapping(value_metrics(promised, found, EXACT)),
            )


def _promised(component: Component, weights: StoredWeights) -> Iterator[tuple[str, Array, Levels | None]]:
    """Yield the name of each quantised matrix, what its readers make of it, and what its inputs are rounded to."""
    spec = spec_of(component.family)
    family = None if spec is None else spec.huggingface
    if family is None:
        return
    everything = {item.name: item for item in items(family, component.config, weights)}
    for tensor in family.tensors(component.config):
        scheme = weights.stored.get(tensor.parts[0][0])
        if scheme is not None and scheme.scales:
            item = everything[tensor.name]
            whole = np.concatenate(list(item.pieces())).reshape(item.spec.shape)
            yield tensor.name, whole, weights.inputs.get(tensor.parts[0][0])


def _failed(judgement: Judgement, reason: str, diffs: list[TensorDiff]) -> Judgement:
    found = judgement.validation
    said = f"weights read back: {reason}"
    whole = f"{found.reason}; {said}" if found.status is Status.FAILED else said
    return replace(
        judgement, validation=replace(found, status=Status.FAILED, reason=whole, diffs=(*found.diffs, *diffs))
    )
