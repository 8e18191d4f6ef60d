"""Which tensors a LLaMA has, by LWM's names, and where each layer of a stacked checkpoint lies.

A component always reads one tensor a layer (``transformer/h/0/...``). A checkpoint may hold all layers of a tensor as
one (``transformer/h/scan_decoder/...``), stacked on axis 0 or 1; `stacked_source` says which part of it a tensor is.
"""

from typing import Final, NamedTuple

from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.types import WeightSpec

LAYERS: Final = "transformer/h/"
STACKED: Final = LAYERS + "scan_decoder/"
_MATRICES: Final = {
    "attention/wk/kernel": ("hidden_size", "kv_size"),
    "attention/wo/kernel": ("hidden_size", "hidden_size"),
    "attention/wq/kernel": ("hidden_size", "hidden_size"),
    "attention/wv/kernel": ("hidden_size", "kv_size"),
    "attention_norm/kernel": ("hidden_size",),
    "feed_forward/w1/kernel": ("hidden_size", "intermediate_size"),
    "feed_forward/w2/kernel": ("intermediate_size", "hidden_size"),
    "feed_forward/w3/kernel": ("hidden_size", "intermediate_size"),
    "ffn_norm/kernel": ("hidden_size",),
}
"""Tensor of one layer -> the fields of the configuration that are its sizes."""


class StackedSource(NamedTuple):
    """Layer ``layer`` on axis ``axis`` of the checkpoint's tensor ``name``."""

    name: str
    axis: int
    layer: int


def llama_weights(config: LlamaConfig) -> dict[str, WeightSpec]:
    """Return shape and dtype of every tensor that a component of the whole model reads, one for each layer."""
    layers = (block_weights(config, layer) for layer in range(config.num_hidden_layers))
    found = {**_outside(config), **{name: spec for layer in layers for name, spec in layer.items()}}
    return dict(sorted(found.items()))


def checkpoint_weights(config: LlamaConfig) -> dict[str, WeightSpec]:
    """Return shape and dtype of every tensor of LWM's own checkpoint: stacked where ``scan_layers`` is set."""
    if not config.scan_layers:
        return llama_weights(config)
    stacked = {STACKED + name: _stacked(config, _shape(config, name)) for name in _MATRICES}
    return dict(sorted({**_outside(config), **stacked}.items()))


def block_weights(config: LlamaConfig, layer: int) -> dict[str, WeightSpec]:
    """Return shape and dtype of the tensors of one layer."""
    return {f"{LAYERS}{layer}/{name}": _spec(_shape(config, name)) for name in _MATRICES}


def embed_weights(config: LlamaConfig) -> dict[str, WeightSpec]:
    """Return shape and dtype of the embedding tables."""
    found = {"transformer/wte/embedding": _spec((config.vocab_size, config.hidden_size))}
    if isinstance(config, VisionLlamaConfig):
        found["transformer/vte/embedding"] = _spec((config.vision_vocab_size, config.hidden_size))
    return found


def head_weights(config: LlamaConfig) -> dict[str, WeightSpec]:
    """Return shape and dtype of the last normalisation and of every head that is no table again."""
    found = {"transformer/ln_f/kernel": _spec((config.hidden_size,))}
    if not config.tie_word_embeddings:
        found["lm_head/kernel"] = _spec((config.hidden_size, config.vocab_size))
    if isinstance(config, VisionLlamaConfig) and not config.tie_vision_embeddings:
        found["vision_head/kernel"] = _spec((config.hidden_size, config.vision_vocab_size))
    return found


def stacked_source(config: LlamaConfig, name: str) -> StackedSource | None:
    """Return which part of a stacked checkpoint a tensor of `llama_weights` is; None: it is a tensor of its own."""
    layer, _, rest = name.removeprefix(LAYERS).partition("/")
    if not config.scan_layers or not name.startswith(LAYERS) or not layer.isdecimal():
        return None
    return StackedSource(STACKED + rest, _axis(config, _shape(config, rest)), int(layer))


def stacked_sources(config: LlamaConfig) -> dict[str, StackedSource]:
    """Return, for each tensor of `llama_weights` that is one layer of a stacked tensor, which part of it it is."""
    found = {name: stacked_source(config, name) for name in llama_weights(config)}
    return {name: source for name, source in found.items() if source is not None}


def _outside(config: LlamaConfig) -> dict[str, WeightSpec]:
    return {**embed_weights(config), **head_weights(config)}


def _shape(config: LlamaConfig, name: str) -> tuple[int, ...]:
    return tuple(getattr(config, field) for field in _MATRICES[name])


def _stacked(config: LlamaConfig, shape: tuple[int, ...]) -> WeightSpec:
    axis = _axis(config, shape)
    return _spec((*shape[:axis], config.num_hidden_layers, *shape[axis:]))


def _axis(config: LlamaConfig, shape: tuple[int, ...]) -> int:
    """Return the axis of the layers: a vector stacked on axis 1 is [channels, layers]."""
    return min(config.param_scan_axis, len(shape))


def _spec(shape: tuple[int, ...]) -> WeightSpec:
    return WeightSpec(shape=shape, dtype="float32")
