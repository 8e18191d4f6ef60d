"""The tensors of a model one a layer, out of a checkpoint that may have stacked them."""

from collections.abc import Mapping

from lwmport.checkpoints.layers import LayeredWeights, LazyWeights, lazy_tensor
from lwmport.models.families import Family
from lwmport.types import Weights, WeightSpec


def layer_specs(family: Family) -> dict[str, WeightSpec]:
    """Return shape and dtype of every tensor of a model, one for each layer where a checkpoint stacks them."""
    stacked = {source[0] for source in family.sources.values()}
    alone = {name: spec for name, spec in family.weights.items() if name not in stacked}
    layers = {name: _layer_of(family.weights[tensor], axis) for name, (tensor, axis, _) in family.sources.items()}
    return dict(sorted({**alone, **layers}.items()))


def layered(family: Family, checkpoint: Weights, dtype: str | None = None) -> LazyWeights:
    """Return a checkpoint's tensors, one a layer, each in ``dtype`` or in its own.

    Args:
        family: what the checkpoint is, stacked or not.
        checkpoint: the tensors of ``family.read``.
        dtype: numpy's name; None for what each tensor has.

    Raises:
        CheckpointError: a tensor is missing, of another shape, or of a dtype that is not cast.
    """
    specs = {
        name: WeightSpec(
            shape=spec.shape, dtype=dtype or lazy_tensor(checkpoint, _held(name, family.sources)).spec.dtype
        )
        for name, spec in (layer_specs(family) if family.spec.weights else family.taken).items()
    }
    return LayeredWeights(checkpoint, specs, family.sources)


def _layer_of(stacked: WeightSpec, axis: int) -> WeightSpec:
    return WeightSpec(shape=(*stacked.shape[:axis], *stacked.shape[axis + 1 :]), dtype=stacked.dtype)


def _held(name: str, sources: Mapping[str, tuple[str, int, int]]) -> str:
    return sources[name][0] if name in sources else name
