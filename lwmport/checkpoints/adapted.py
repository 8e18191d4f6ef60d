"""A checkpoint with a LoRA adapter merged into it, tensor by tensor, while it is read."""

from pathlib import Path

from lwmport.checkpoints.calibrated import Rounder
from lwmport.checkpoints.index import Checkpoint, Recognised
from lwmport.checkpoints.layers import LazyWeights
from lwmport.checkpoints.lora import Adapter, merged, recorded_base
from lwmport.checkpoints.unstacked import layered
from lwmport.errors import UsageError
from lwmport.models.families import Family


class AdaptedCheckpoint(LazyWeights):
    """The tensors of a model, one a layer, with what an adapter adds (`lwmport.types.Weights`).

    Attributes:
        base: the checkpoint before.
        adapter: what is added.
        rounder: what rounds them where that takes runs of the model.
    """

    rounder: Rounder | None = None

    def __init__(self, weights: LazyWeights, base: Checkpoint, adapter: Adapter) -> None:
        super().__init__({name: weights.lazy(name) for name in weights.specs}, weights.source, weights.digest)
        self.base, self.adapter = base, adapter

    @property
    def path(self) -> Path:
        """The file or the folder of the checkpoint before."""
        return self.base.path

    @property
    def random(self) -> Recognised | None:
        """Which seed the tensors before were made of, as far as somebody looked."""
        return self.base.random


def adapted(family: Family, base: Checkpoint, adapter: Adapter) -> AdaptedCheckpoint:
    """Return a checkpoint with an adapter in it, each tensor in the dtype that it has.

    Raises:
        CheckpointError: the adapter does not fit the model.
        UsageError: Hugging Face has no such model, so that nothing tells what the adapter changes.
    """
    return AdaptedCheckpoint(with_adapter(family, base, adapter), base, adapter)


def with_adapter(family: Family, base: Checkpoint, adapter: Adapter, dtype: str | None = None) -> LazyWeights:
    """Return the tensors of a model, one a layer, with what an adapter adds; in ``dtype``, or each in its own.

    Raises:
        CheckpointError: the adapter does not fit the model.
        UsageError: Hugging Face has no such model, so that nothing tells what the adapter changes.
    """
    folders = family.spec.all_folders
    if not folders:
        raise UsageError(f"expected a model that Hugging Face has a folder for with --adapter, found {family.name}")
    return merged(layered(family, base), adapter, folders, family.config, dtype, strict=family.spec.strict)


def base_and_adapter(checkpoint: str | None, adapter: Path | None) -> tuple[str | None, Path | None]:
    """Return a checkpoint, and the adapter that is merged into it, if any.

    An adapter that is given as the checkpoint stands for the model that it names, where that lies on this machine.

    Raises:
        UsageError: an adapter without a checkpoint.
    """
    if adapter is not None:
        if checkpoint is None:
            raise UsageError(f"expected --checkpoint beside --adapter, found --adapter {adapter} alone")
        return checkpoint, adapter
    base = None if checkpoint is None else recorded_base(Path(checkpoint))
    return (checkpoint, None) if base is None else (str(base), Path(str(checkpoint)))
