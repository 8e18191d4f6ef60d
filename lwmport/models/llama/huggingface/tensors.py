"""LWM's tensors as those of one ``LlamaForCausalLM``.

The rows of the vision table stand behind those of the text table, and so do the rows of the heads.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lwmport.models.huggingface import HfName, HfTensor, TiedTensor
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.huggingface.names import HEAD, to_hf
from lwmport.models.llama.weights import block_weights
from lwmport.types import Array

TABLES: Final = ("transformer/wte/embedding", "transformer/vte/embedding")
HEADS: Final = (HEAD, "vision_head/kernel")
"""The tensor of the text and that of the codes, which are one in Hugging Face's model."""

NORM: Final = "transformer/ln_f/kernel"

ROUNDING: Final = 2**-7
"""How far a stored angle may be from its formula: it may have been rounded to bfloat16."""

ANGLES: Final = "rotary_emb.inv_freq"
"""How a tensor ends that older files hold beside the weights: angles, which follow from the configuration."""


def tensors(config: LlamaConfig) -> tuple[HfTensor, ...]:
    """Return what to write, in the order in which a model computes."""
    table = to_hf(TABLES[0])
    tables = tuple((name, table) for name in TABLES[: _vocabularies(config)])
    names = [name for layer in range(config.num_hidden_layers) for name in block_weights(config, layer)]
    plain = (
        HfTensor(name=to_hf(name).name, parts=((name, to_hf(name)),)) for name in (*names, "transformer/ln_f/kernel")
    )
    heads = () if is_tied(config) else (HfTensor(name=to_hf(HEAD).name, parts=_heads(config)),)
    return (HfTensor(name=table.name, parts=tables), *plain, *heads)


def is_tied(config: LlamaConfig) -> bool:
    """Return whether every head is its table: with one alone tied, the head is written out."""
    vision = not isinstance(config, VisionLlamaConfig) or config.tie_vision_embeddings
    return config.tie_word_embeddings and vision


def rows(config: Mapping[str, Any]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Return whose rows the table and the head hold, if the configuration says that there are codes."""
    if "vision_vocab_size" not in config:
        return {}
    sizes = (config["vocab_size"], config["vision_vocab_size"])
    return {names[0]: tuple(zip(names, sizes, strict=True)) for names in (TABLES, HEADS)}


def tied(config: Mapping[str, Any]) -> TiedTensor | None:
    """Return that the head is the table, if the configuration says so."""
    if not config["tie_word_embeddings"]:
        return None
    return TiedTensor(name=to_hf(HEAD).name, table=to_hf(TABLES[0]).name, field="tie_word_embeddings")


def wrong_angles(name: str, values: Array, config: Mapping[str, Any]) -> str:
    """Return how stored angles contradict the configuration's: theta ** (-2 i / head size), as LLaMA has them."""
    if not name.endswith(ANGLES):
        return ""
    size = config["hidden_size"] // config["num_attention_heads"]
    expected = float(config["theta"]) ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    found = values.astype(np.float64)
    if found.shape == expected.shape and np.allclose(found, expected, rtol=ROUNDING, atol=0):
        return ""
    return f"some of which are not the angles of theta {config['theta']:g} and head size {size}"


def is_ignored(name: str, config: Mapping[str, Any]) -> bool:
    """Return whether a tensor is left out: angles, and a head that is its table again."""
    return name.endswith(ANGLES) or (name == to_hf(HEAD).name and config["tie_word_embeddings"])


def _vocabularies(config: LlamaConfig) -> int:
    return 2 if isinstance(config, VisionLlamaConfig) else 1


def _heads(config: LlamaConfig) -> tuple[tuple[str, HfName], ...]:
    """Return the rows of the head; a tied one is its table.

    LWM's vision head is laid out like the text head, which is the one that Hugging Face has a name for.
    """
    tied = (config.tie_word_embeddings, isinstance(config, VisionLlamaConfig) and config.tie_vision_embeddings)
    found = [
        (TABLES[i], to_hf(TABLES[0])) if tied[i] else (HEADS[i], to_hf(HEAD)) for i in range(_vocabularies(config))
    ]
    return tuple(found)
