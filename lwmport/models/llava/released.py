"""The files and folders in which LLaVA's image side is published, and how their tensors are called here.

Sources: haotian-liu/LLaVA (llava/model/llava_arch.py, multimodal_encoder/clip_encoder.py, train/llava_trainer.py);
transformers' conversion_mapping.py and models/llava/convert_llava_weights_to_hf.py.
"""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.errors import CheckpointError, ConfigError
from lwmport.models.huggingface import HfConfig, HfFolder, HfName
from lwmport.models.llava.clip_config import TOWER, clip_config
from lwmport.models.released_files import ReleasedFiles
from lwmport.models.vit.names import CONV, MATRIX, NORM, PLAIN, table

PROJECTOR_FILE: Final = "mm_projector.bin"
ADAPTED_FILE: Final = "non_lora_trainables.bin"
"""What LLaVA writes beside a LoRA adapter: the projector, trained with it."""

ADAPTED: Final = "base_model.model."
"""What the names of its tensors begin with: those of the model inside PEFT's."""

TOWERS: Final = (
    "model.vision_tower.vision_tower.vision_model.",
    "model.vision_tower.vision_model.",
    "model.vision_tower.",
    "vision_tower.vision_model.",
    "vision_tower.vision_tower.vision_model.",
    "vision_tower.",
    "vision_model.",
)
"""What the names of the tower's tensors begin with: of LLaVA, of transformers 5 and 4, and of CLIP alone."""

MODULES: Final = ("embeddings.", "pre_layrnorm.", "encoder.", "post_layernorm.")
"""What is in the tower. transformers 5 writes a tower of its own with nothing before it."""

PROJECTORS: Final[Mapping[str, str]] = {
    "multi_modal_projector.linear_1.": "linear_1",
    "multi_modal_projector.linear_2.": "linear_2",
    "mm_projector.0.": "linear_1",
    "mm_projector.2.": "linear_2",
}
"""What the names of the projector's tensors begin with, also behind ``model.`` -> the matrix here."""

_LAYER: Final = "encoder.layers.*"
_TOWER: Final = {
    "embeddings.class_embedding": PLAIN,
    "embeddings.patch_embedding": CONV,
    "pre_layrnorm": NORM,
    "post_layernorm": NORM,
    **{f"{_LAYER}.self_attn.{name}": MATRIX for name in ("q_proj", "k_proj", "v_proj", "out_proj")},
    **{f"{_LAYER}.{name}": NORM for name in ("layer_norm1", "layer_norm2")},
    **{f"{_LAYER}.mlp.{name}": MATRIX for name in ("fc1", "fc2")},
}
_POSITIONS: Final = "embeddings.position_embedding.weight"
_NUMBERS: Final = "embeddings.position_ids"
"""What older files hold beside the table: the numbers of its rows."""

_OTHERS: Final = ("language_model.", "model.language_model.", "model.layers.", "model.embed_tokens.", "model.norm.")
_OTHERS_ALONE: Final = ("lm_head.", "text_model.", "text_projection.", "visual_projection.", "logit_scale")

_in_tower: Final = table(_TOWER, lambda path: "vision/" + path.removeprefix("embeddings/").removeprefix("encoder/"))


def named(name: str) -> HfName | None:
    """Return our name of a tensor of LLaVA's image side, under any of the names that it is published by."""
    name = name.removeprefix(ADAPTED)
    bare = _bare(name)
    if bare is not None:
        return HfName(name="vision/position_embedding") if bare == _POSITIONS else _in_tower(bare)
    start = next((start for start in PROJECTORS if name.removeprefix("model.").startswith(start)), "")
    leaf = name.removeprefix("model.").removeprefix(start)
    if not start or leaf not in {"weight", "bias"}:
        return None
    path = f"projector/{PROJECTORS[start]}"
    return HfName(name=f"{path}/bias") if leaf == "bias" else HfName(name=f"{path}/kernel", transposed=True)


def _named(name: str, _: Mapping[str, Any]) -> HfName | None:
    return named(name)


def _bare(name: str) -> str | None:
    """Return the name of a tensor of the tower without what is before it; None if it is none of the tower's."""
    bare = name.removeprefix(next((start for start in TOWERS if name.startswith(start)), ""))
    return bare if bare.startswith(MODULES) else None


def _is_ignored(name: str, _: Mapping[str, Any]) -> bool:
    return _bare(name) == _NUMBERS


def _is_elsewhere(name: str) -> bool:
    return name.startswith((*_OTHERS, *_OTHERS_ALONE))


def _read(fields: Mapping[str, Any]) -> HfConfig:
    try:
        told = clip_config(fields)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    return HfConfig(fields=told.fields, assumed=tuple(sorted(told.assumed)))


FOLDERS: Final = tuple(
    HfFolder(
        architecture=architecture,
        kind=kind,
        first=first,
        files=(PROJECTOR_FILE, ADAPTED_FILE) if architecture == "LlavaLlamaForCausalLM" else (),
        read=_read,
        named=_named,
        ignored=_is_ignored,
        elsewhere=_is_elsewhere,
        heads="num_attention_heads",
    )
    for architecture, kind, first in (
        ("LlavaForConditionalGeneration", "llava", "multi_modal_projector.linear_1.weight"),
        ("LlavaLlamaForCausalLM", "llava", "model.mm_projector.0.weight"),
        ("LlavaLlamaForCausalLM", "llava_llama", "model.mm_projector.0.weight"),
        ("CLIPModel", "clip", "vision_model.embeddings.class_embedding"),
        ("CLIPVisionModel", "clip_vision_model", "vision_model.embeddings.class_embedding"),
        ("CLIPVisionModelWithProjection", "clip_vision_model", "vision_model.embeddings.class_embedding"),
    )
)
"""LLaVA of transformers, LLaVA's own, and CLIP."""

RELEASED: Final = ReleasedFiles(
    named=named,
    signs=("model.mm_projector.0.weight", "mm_projector.0.weight", f"{ADAPTED}model.mm_projector.0.weight"),
    homes={
        "vision/": f"the folder of openai/{TOWER}",
        "projector/": PROJECTOR_FILE,
    },
)
