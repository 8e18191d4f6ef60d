"""What stands beside the weights: the configuration, how to generate, and how tokens are numbered."""

import json
from typing import Any, Final

from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.huggingface.config import OWN, hf_fields
from lwmport.models.llama.huggingface.tensors import is_tied
from lwmport.models.llama.vision_tokens import END_OF_FRAME, END_OF_VISION

BOS: Final = 1
EOS: Final = 2
"""``<s>`` and ``</s>`` of LLaMA's tokenizer. LWM generates with these; its configurations say 0 and 1 unless told."""


def texts(config: LlamaConfig, dtype: str) -> dict[str, str]:
    """Return the name and text of every file beside the weights; ``dtype`` is that of the weights."""
    return {
        "config.json": _json(model(config, dtype)),
        "generation_config.json": _json(generation(config)),
        "README.md": _readme(config),
    }


def model(config: LlamaConfig, dtype: str) -> dict[str, Any]:
    """Return ``config.json``: the fields of transformers' ``LlamaConfig``, and how the vocabulary is divided."""
    bos, eos = _ends(config)
    changed = {
        "vocab_size": config.vocab_size + _codes(config),
        "tie_word_embeddings": is_tied(config),
        "bos_token_id": bos,
        "eos_token_id": eos,
    }
    return {**hf_fields({**config.to_json(), **changed}, dtype), OWN: tokens(config)}


def tokens(config: LlamaConfig) -> dict[str, Any]:
    """Return how the vocabulary is divided: ``code`` of the vision table is token ``first_code + code``."""
    found: dict[str, Any] = {"text_vocab_size": config.vocab_size}
    if isinstance(config, VisionLlamaConfig):
        found |= {"vision_vocab_size": config.vision_vocab_size, "first_code": config.vocab_size}
        found |= {"heads": list(config.heads)}
    return found


def generation(config: LlamaConfig) -> dict[str, Any]:
    """Return ``generation_config.json``; a vision-language model generates text unless it is told otherwise."""
    bos, eos = _ends(config)
    found: dict[str, Any] = {"bos_token_id": bos, "eos_token_id": eos}
    if _codes(config):
        found["suppress_tokens"] = list(range(config.vocab_size, config.vocab_size + _codes(config)))
    return found


def _ends(config: LlamaConfig) -> tuple[int | None, int | None]:
    """Return the first and the last token of a text: what the configuration says if it was told, else LLaMA's."""
    usual = LlamaConfig()
    if (config.bos_token_id, config.eos_token_id) == (usual.bos_token_id, usual.eos_token_id):
        return BOS, EOS
    return config.bos_token_id, config.eos_token_id


def _codes(config: LlamaConfig) -> int:
    return config.vision_vocab_size if isinstance(config, VisionLlamaConfig) else 0


def _json(value: dict[str, Any]) -> str:
    return json.dumps(dict(sorted(value.items())), indent=2) + "\n"


def _readme(config: LlamaConfig) -> str:
    text = (
        "# LWM as a LLaMA\n\n"
        "This folder is a plain `LlamaForCausalLM`. Its tokenizer is LWM's, which is LLaMA's: put `tokenizer.model` "
        "beside this file.\n"
    )
    if not _codes(config):
        return text
    first, total = config.vocab_size, config.vocab_size + _codes(config)
    ends = (
        f"| {first + END_OF_FRAME} | end of a frame (code {END_OF_FRAME}) |\n"
        f"| {first + END_OF_VISION} | end of the last frame, and of each frame in a question (code {END_OF_VISION}) |\n"
    )
    return text + (
        "\n## Token numbers\n\n"
        "| tokens | meaning |\n| --- | --- |\n"
        f"| 0 to {first - 1} | text |\n"
        f"| {first} to {total - 1} | codes of the VQGAN: code c is token {first} + c |\n"
        f"{ends if _codes(config) > END_OF_VISION else ''}\n"
        "`<vision>` and `</vision>` are ordinary text. A frame is 256 codes and one of the two ends.\n\n"
        "LWM itself has a head for text and a head for codes and reads one at a time; here both stand behind each "
        "other, so the logits of the other mode have to be masked. `generation_config.json` does so for text "
        f"(`suppress_tokens` from {first} to {total - 1}). To generate pictures, suppress 0 to {first - 1} instead.\n"
    )
