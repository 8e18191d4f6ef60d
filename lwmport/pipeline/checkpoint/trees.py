"""A model's tensors in the form that a checkpoint has: one a layer, or stacked on either axis."""

from lwmport.checkpoints.layers import LazyWeights, as_dtype, digest_of, lazy_tensor
from lwmport.checkpoints.lazy.layers import Stack
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.errors import UsageError
from lwmport.models.families import Family, resolve
from lwmport.types import Weights


def restacked(family: Family, component: str, *, stacked: bool | None, axis: int | None = None) -> Family:
    """Return the model with its layers stacked or not, and on another axis; None leaves it as it is.

    Raises:
        UsageError: its layers cannot be stacked.
    """
    asked = {"--stacked and --unstacked": stacked, "--axis": axis}
    given = " and ".join(words for words, value in asked.items() if value is not None)
    stacking = family.spec.stacking
    if stacking is None:
        if given:
            raise UsageError(f"expected a model whose layers can be stacked for {given}, found {family.name}")
        return family
    changed = {
        **({} if stacked is None else {stacking.flag: stacked}),
        **({} if axis is None else {stacking.axis: axis}),
    }
    return resolve(component, {**family.config, **changed}) if changed else family


def arranged(family: Family, layers: Weights) -> LazyWeights:
    """Return tensors that are one a layer as those of a checkpoint of ``family``: stacked where it is.

    Raises:
        CheckpointError: a layer is missing, or the layers differ in shape or dtype.
    """
    stacks: dict[str, dict[int, str]] = {}
    axes: dict[str, int] = {}
    for name, (tensor, axis, layer) in family.sources.items():
        stacks.setdefault(tensor, {})[layer] = name
        axes[tensor] = axis

    def made(name: str) -> Lazy:
        if name not in stacks:
            return lazy_tensor(layers, name)
        return Stack([lazy_tensor(layers, stacks[name][layer]) for layer in sorted(stacks[name])], axes[name])

    return LazyWeights({name: made(name) for name in family.weights}, layers.source, lambda: digest_of(layers))


def retyped(weights: Weights, dtype: str | None) -> LazyWeights:
    """Return the same tensors, the floating ones in ``dtype`` if it is given.

    Raises:
        CheckpointError: a tensor is not floating, so it cannot be cast.
    """
    tensors = {name: lazy_tensor(weights, name) for name in weights.specs}
    if dtype is not None:
        tensors = {name: as_dtype(tensor, dtype, name) for name, tensor in tensors.items()}
    return LazyWeights(tensors, weights.source, lambda: digest_of(weights))
