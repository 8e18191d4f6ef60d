"""The names of LLaVA's and CLIP's tensors in the files of their makers and of transformers 4 and 5.

Sources: LLaVA's llava/model (mm_projector), transformers' convert_llava_weights_to_hf.py and conversion_mapping.py.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from lwmport.models.llava.clip_config import clip_config
from lwmport.models.released_files import OwnName, ReleasedFiles, torch_module

_TOWERS: Final = (
    "model.vision_tower.vision_tower.vision_model.",
    "vision_tower.vision_model.",
    "model.vision_tower.vision_model.",
    "model.vision_tower.",
    "vision_model.",
)
"""How the tower's names begin: LLaVA's own, transformers 4's, 5's, and CLIP's. The first that fits counts."""

_PROJECTORS: Final = ("model.multi_modal_projector.", "multi_modal_projector.", "model.mm_projector.", "mm_projector.")
_LINEAR: Final = {"0": "linear_1", "2": "linear_2", "linear_1": "linear_1", "linear_2": "linear_2"}
_TABLES: Final = {
    "embeddings.class_embedding": "vision/class_embedding",
    "embeddings.position_embedding.weight": "vision/position_embedding",
}
_TOWER: Final = re.compile(
    r"pre_layrnorm\.(weight|bias)|encoder\.layers\.\d+\.(layer_norm[12]|self_attn\.(q|k|v|out)_proj|mlp\.fc[12])\.(weight|bias)"
)


def named(name: str, rank: int) -> OwnName | None:
    """Return our name of a tensor, None for one that the image side does not read."""
    for start in _PROJECTORS:
        layer, _, last = name.removeprefix(start).partition(".")
        if name.startswith(start) and layer in _LINEAR and last in {"weight", "bias"}:
            return torch_module(f"projector.{_LINEAR[layer]}.{last}", rank)
    tower = next((start for start in _TOWERS if name.startswith(start)), "")
    return _of_tower(name.removeprefix(tower), rank) if tower else None


def _of_tower(name: str, rank: int) -> OwnName | None:
    if name in _TABLES:
        return OwnName(name=_TABLES[name])
    if name == "embeddings.patch_embedding.weight":
        return torch_module("vision.patch_embedding.weight", rank)
    if _TOWER.fullmatch(name):
        return torch_module("vision." + name.replace("encoder.", "", 1), rank)
    return None


TOWER: Final = "a folder of openai/clip-vit-large-patch14-336"


def configured(fields: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the fields of a ``config.json`` of LLaVA or CLIP under our names, and those that have defaults."""
    told = clip_config(fields)
    return told.fields, tuple(told.assumed)


RELEASED: Final = ReleasedFiles(
    named=named, configured=configured, homes={"vision/": TOWER, "projector/": "mm_projector.bin"}
)
