"""The language model inside a folder of LLaVA, transformers' and LLaVA's own: a LLaMA beside a tower and a projector.

Sources: transformers/models/llava/configuration_llava.py and conversion_mapping.py;
llava/model/language_model/llava_llama.py of haotian-liu/LLaVA.
"""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.errors import CheckpointError
from lwmport.models.huggingface import HfConfig, HfFolder, HfName
from lwmport.models.llama.huggingface.config import KIND, told_config
from lwmport.models.llama.huggingface.record import HUGGINGFACE
from lwmport.wording import kind_of, shown

TEXT: Final = "text_config"

USUAL: Final[Mapping[str, int]] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}
"""What ``LlamaConfig`` of transformers has where ``text_config`` leaves it out, as the files of LLaVA-1.5-7B do."""

OTHERS: Final = (
    *("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."),
    *("model.mm_projector.", "model.image_newline"),
)
"""What the names of the image side's tensors begin with."""

IMAGES: Final = ("mm_", "image_", "tune_mm", "freeze_mm", "unfreeze_mm", "use_mm", "tokenizer_")
"""What the keys of ``config.json`` begin with that are of the image side, or of the text before it is numbers."""


def _plain(name: str) -> str:
    """Return the name that a tensor has in a folder of the language model alone."""
    if name.startswith("language_model."):
        return name.removeprefix("language_model.")
    inner = name.removeprefix("model.language_model.")
    return name if inner == name else f"model.{inner}"


def _named(name: str, config: Mapping[str, Any]) -> HfName | None:
    return HUGGINGFACE.named(_plain(name), config)


def _is_ignored(name: str, config: Mapping[str, Any]) -> bool:
    return HUGGINGFACE.ignored(_plain(name), config)


def _is_elsewhere(name: str) -> bool:
    return name.startswith(OTHERS)


def _read(fields: Mapping[str, Any]) -> HfConfig:
    """Return what the entry of transformers for the language model says."""
    text = fields.get(TEXT)
    if not isinstance(text, Mapping):
        raise CheckpointError(f"expected an object as {TEXT}, found {shown(kind_of(text))}")
    kind = text.get("model_type", KIND)
    if kind != KIND:
        raise CheckpointError(f"expected the model_type {KIND} in {TEXT}, found {shown(repr(kind))}")
    told = told_config({**USUAL, **text})
    assumed = [name for name in USUAL if text.get(name) is None]
    return HfConfig(fields=told.fields, assumed=(*assumed, *told.assumed), unused=told.unused)


def _read_own(fields: Mapping[str, Any]) -> HfConfig:
    """Return what LLaVA's own file says of the language model: it stands beside the keys of the image side."""
    return told_config({name: value for name, value in fields.items() if not str(name).startswith(IMAGES)})


FOLDERS: Final = tuple(
    HfFolder(
        architecture=architecture,
        kind=kind,
        first=first,
        inner=True,
        read=read,
        named=_named,
        ignored=_is_ignored,
        elsewhere=_is_elsewhere,
        heads=HUGGINGFACE.heads,
        shared_heads=HUGGINGFACE.shared_heads,
    )
    for architecture, kind, first, read in (
        ("LlavaForConditionalGeneration", "llava", "language_model.model.embed_tokens.weight", _read),
        ("LlavaLlamaForCausalLM", "llava", HUGGINGFACE.first, _read_own),
        ("LlavaLlamaForCausalLM", "llava_llama", HUGGINGFACE.first, _read_own),
    )
)
"""LLaVA of transformers, and LLaVA's own."""
