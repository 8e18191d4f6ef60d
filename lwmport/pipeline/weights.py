"""The weights of a request: a checkpoint that fits the model, or seeded ones where none is given."""

from collections.abc import Mapping
from typing import Any

from lwmport import manifest
from lwmport.checkpoints.fit import fit
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.layers import LayeredWeights
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import CheckpointError
from lwmport.models.families import Family
from lwmport.models.storage import SCHEMES, stored_names
from lwmport.types import Component, Weights, WeightSpec


def fitting(family: Family, opened: Checkpoint | None, seed: int) -> Checkpoint | SeededWeights:
    """Return a checkpoint that fits the model, or seeded weights where there is none.

    Tensors that are left over are an error of a strict family. Of another one, the checkpoint tells them.

    Raises:
        CheckpointError: it does not fit; every tensor that is wrong is named.
    """
    if opened is None:
        return SeededWeights(seeded_specs(family), seed)
    fit_to(family, opened)
    return opened


def fit_to(family: Family, opened: Checkpoint) -> None:
    """Return if a checkpoint holds what the model reads, with what is left over noted in the checkpoint.

    Raises:
        CheckpointError: it does not; every tensor that is wrong is named.
    """
    opened.left_over = fit(opened, family.read, family.name, strict=family.spec.strict)


def seeded_specs(family: Family) -> Mapping[str, WeightSpec]:
    """Return the tensors that are made up where no checkpoint is: the whole model's, one a layer."""
    if not family.sources:
        return family.weights
    return {name: spec for component in family.references for name, spec in component.weights.items()}


def component_weights(family: Family, component: Component, weights: Weights) -> Weights:
    """Return the weights of a component and of its feeder: layers out of stacked tensors, in the component's dtypes.

    Where the options say what weights are stored as, those of the component are what is stored of them.
    """
    sources = {name: source for name, source in family.sources.items() if source[0] in weights.specs}
    both = (component,) if component.feeder is None else (component.feeder, component)
    specs = {name: spec for one in both for name, spec in one.weights.items()}
    located = {own: there for one in both for own, there in one.located.items()}
    found = LayeredWeights(weights, specs, sources, located)
    store = family.options.store
    return StoredWeights(found, SCHEMES[store], stored_names(component, store)) if store else found


def reopen_weights(family: Family, made: manifest.Manifest, checkpoint: str | None) -> Checkpoint | SeededWeights:
    """Return the weights that an artifact was converted from.

    Raises:
        CheckpointError: they came from a file that is not named now, or another file is named.
    """
    seed: Any = made.weights.get("seed", 0)
    if checkpoint is None and made.weights.get("kind") != "seeded":
        raise CheckpointError(
            f"expected the checkpoint that was converted ({made.weights.get('description')}); name it with --checkpoint"
        )
    weights = fitting(family, None if checkpoint is None else open_checkpoint(checkpoint), int(seed))
    if weights.digest() != made.weights_sha256:
        raise CheckpointError(
            f"expected the weights that were converted, sha256 {made.weights_sha256}, "
            f"found {weights.source['description']}, sha256 {weights.digest()}"
        )
    return weights
