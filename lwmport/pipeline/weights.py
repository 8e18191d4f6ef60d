"""The weights of a request: a checkpoint that fits the model, or seeded ones where none is given."""

from typing import Any

from lwmport import manifest
from lwmport.checkpoints.fit import fit
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import CheckpointError
from lwmport.models.families import Family


def open_weights(family: Family, checkpoint: str | None, seed: int) -> Checkpoint | SeededWeights:
    """Return the weights of a whole model, checked against its configuration.

    Raises:
        CheckpointError: the file cannot be read as a checkpoint, or does not fit; every tensor that is wrong is named.
    """
    if checkpoint is None:
        return SeededWeights(family.weights, seed)
    weights = open_checkpoint(checkpoint)
    fit(weights, family.weights, family.name)
    return weights


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
    weights = open_weights(family, checkpoint, int(seed))
    if weights.digest() != made.weights_sha256:
        raise CheckpointError(
            f"expected the weights that were converted, sha256 {made.weights_sha256}, "
            f"found {weights.source['description']}, sha256 {weights.digest()}"
        )
    return weights
