"""LWM's tensors as those of one ``LlamaForCausalLM``: renamed, transposed, the rotary channels in Hugging Face's order.

The rows of the vision table stand behind those of the text table, and so do the rows of the heads.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from lwmport.checkpoints.huggingface.names import layout_to_hf, to_hf
from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.lazy.layouts import relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.weights import block_weights
from lwmport.types import Array, Weights, WeightSpec

EMBEDDING: Final = "model.embed_tokens.weight"
HEAD: Final = "lm_head.weight"


def items(config: LlamaConfig, weights: Weights) -> list[Item]:
    """Return what to write, in the order in which a model computes; nothing is read yet."""
    layers = (name for layer in range(config.num_hidden_layers) for name in block_weights(config, layer))
    heads = [] if is_tied(config) else [_rows(HEAD, _heads(config, weights))]
    return [
        _rows(EMBEDDING, _tables(config, weights)),
        *(_renamed(config, weights, name) for name in layers),
        _renamed(config, weights, "transformer/ln_f/kernel"),
        *heads,
    ]


def is_tied(config: LlamaConfig) -> bool:
    """Return whether every head is its table: with one alone tied, the head is written out."""
    vision = not isinstance(config, VisionLlamaConfig) or config.tie_vision_embeddings
    return config.tie_word_embeddings and vision


def _tables(config: LlamaConfig, weights: Weights) -> list[Lazy]:
    """Return the rows of the embedding, [text and vision vocabulary, hidden] in parts."""
    names = ["transformer/wte/embedding"]
    if isinstance(config, VisionLlamaConfig):
        names.append("transformer/vte/embedding")
    return [lazy_tensor(weights, name) for name in names]


def _heads(config: LlamaConfig, weights: Weights) -> list[Lazy]:
    """Return the rows of the head, [text and vision vocabulary, hidden] in parts; a tied one is its table."""
    tables = _tables(config, weights)
    heads = [tables[0] if config.tie_word_embeddings else _laid_out(config, weights, "lm_head/kernel")]
    if isinstance(config, VisionLlamaConfig):
        # LWM's vision head is laid out like the text head, which is the one that Hugging Face has a name for.
        own = "vision_head/kernel"
        heads.append(tables[1] if config.tie_vision_embeddings else _laid_out(config, weights, own, "lm_head/kernel"))
    return heads


def _renamed(config: LlamaConfig, weights: Weights, name: str) -> Item:
    return _rows(to_hf(name).name, [_laid_out(config, weights, name)])


def _laid_out(config: LlamaConfig, weights: Weights, name: str, like: str = "") -> Lazy:
    """Return a tensor as Hugging Face lays out ``like``, by default itself."""
    found = lazy_tensor(weights, name)
    layout = layout_to_hf(found.spec.shape, to_hf(like or name), config.num_attention_heads)
    return found if layout is None else relaid(found, layout)


def _rows(name: str, parts: Sequence[Lazy]) -> Item:
    """Return the rows of several tensors, one behind the other, as one."""
    first = parts[0].spec
    rows = sum(part.spec.shape[0] for part in parts)

    def pieces() -> Iterator[Array]:
        for part in parts:
            yield from part.pieces()

    return Item(name=name, spec=WeightSpec(shape=(rows, *first.shape[1:]), dtype=first.dtype), pieces=pieces)
