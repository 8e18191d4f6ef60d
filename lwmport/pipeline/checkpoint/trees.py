"""A language model's tensors in the form that a checkpoint has: one a layer, or stacked on either axis."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.layers import LayeredWeights, LazyWeights, as_dtype, digest_of, lazy_tensor
from lwmport.checkpoints.lazy.layers import Stack
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.errors import UsageError
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.weights import checkpoint_weights, llama_weights, stacked_source
from lwmport.types import Weights, WeightSpec

USUAL: Final = "lwm"
"""The configuration that is meant where none is named."""


def config_of(checkpoint: Checkpoint | None, asked: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
    """Return the configuration that is meant: a folder's own, or the one that was asked for.

    Raises:
        UsageError: both; they may differ in what no tensor tells, and the folder's heads have been believed already.
    """
    if checkpoint is None or not checkpoint.config or asked == dict(checkpoint.config):
        return asked
    if asked != USUAL:
        raise UsageError(f"expected no --config: {checkpoint.path.name} has its own; use --set to change a field")
    return dict(checkpoint.config)


def language_config(fields: Mapping[str, Any]) -> LlamaConfig:
    """Return the configuration of a language model from its fields; codes make it a vision-language model.

    Raises:
        ConfigError: values that no model can have.
    """
    return (VisionLlamaConfig if "vision_vocab_size" in fields else LlamaConfig).from_json(fields)


def layered(config: LlamaConfig, checkpoint: Weights, dtype: str | None = None) -> LazyWeights:
    """Return a checkpoint's tensors, one a layer, each in ``dtype`` or in its own.

    Args:
        config: what the checkpoint is, stacked or not (``scan_layers``, ``param_scan_axis``).
        checkpoint: the tensors of ``checkpoint_weights(config)``.
        dtype: numpy's name; None for what each tensor has.

    Raises:
        CheckpointError: a tensor is missing, of another shape, or of a dtype that is not cast.
    """
    names = llama_weights(config)
    sources = {name: source for name in names if (source := stacked_source(config, name)) is not None}
    specs = {
        name: WeightSpec(shape=spec.shape, dtype=dtype or lazy_tensor(checkpoint, _held(name, sources)).spec.dtype)
        for name, spec in names.items()
    }
    return LayeredWeights(checkpoint, specs, sources)


def arranged(config: LlamaConfig, layers: Weights) -> LazyWeights:
    """Return tensors that are one a layer as those of a checkpoint of ``config``: stacked where it is.

    Raises:
        CheckpointError: a layer is missing, or the layers differ in shape or dtype.
    """
    stacks: dict[str, dict[int, str]] = {}
    axes: dict[str, int] = {}
    for name in llama_weights(config):
        source = stacked_source(config, name)
        if source is not None:
            stacks.setdefault(source.name, {})[source.layer] = name
            axes[source.name] = source.axis

    def tensor(name: str) -> Lazy:
        if name not in stacks:
            return lazy_tensor(layers, name)
        return Stack([lazy_tensor(layers, stacks[name][layer]) for layer in sorted(stacks[name])], axes[name])

    tensors = {name: tensor(name) for name in checkpoint_weights(config)}
    return LazyWeights(tensors, layers.source, lambda: digest_of(layers))


def retyped(weights: Weights, dtype: str | None) -> LazyWeights:
    """Return the same tensors, the floating ones in ``dtype`` if it is given.

    Raises:
        CheckpointError: a tensor is not floating, so it cannot be cast.
    """
    tensors = {name: lazy_tensor(weights, name) for name in weights.specs}
    if dtype is not None:
        tensors = {name: as_dtype(tensor, dtype, name) for name, tensor in tensors.items()}
    return LazyWeights(tensors, weights.source, lambda: digest_of(weights))


def _held(name: str, sources: Mapping[str, tuple[str, int, int]]) -> str:
    return sources[name][0] if name in sources else name
