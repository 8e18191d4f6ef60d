"""A CLIP model of open_clip as transformers' ``CLIPModel``: the same numbers under other names.

Source: open_clip/model.py, open_clip/transformer.py (names, defaults) and open_clip/constants.py (mean, deviation).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport.errors import CheckpointError
from lwmport.pipeline.evaluate.clip.pixels import MEAN, STD, Pixels
from lwmport.types import Array
from lwmport.wording import few, shown

WHOLE: Final = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu")
VISION: Final = ("image_size", "layers", "width", "head_width", "patch_size", "mlp_ratio")
TEXT: Final = ("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio")
PREPROCESS: Final = {"interpolation": "bicubic", "resize_mode": "shortest", "mode": "RGB", "fill_color": 0}

PLAIN: Final = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
}
"""transformers' name -> open_clip's, of tensors that are the same."""
PROJECTIONS: Final = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}
"""The same of those that open_clip has as [in, out]."""
NORMS: Final = {
    "text_model.final_layer_norm": "ln_final",
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
}
TOWERS: Final = {"text_model": "transformer", "vision_model": "visual.transformer"}
LAYER: Final = re.compile(r"(text_model|vision_model)\.encoder\.layers\.(\d+)\.(\S+)\.(weight|bias)")
INNER: Final = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
JOINED: Final = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
"""What open_clip has as one tensor, in this order along the first axis."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The tensor of open_clip that one of transformers is, or lies in: its third ``part`` of three, or transposed."""

    name: str
    part: int | None = None
    transposed: bool = False

    def of(self, stored: Array) -> Array:
        """Return the tensor of transformers."""
        if self.part is not None:
            size = stored.shape[0] // 3
            return stored[self.part * size : (self.part + 1) * size]
        return stored.T if self.transposed else stored

    def shape(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that is stored for one of transformers."""
        if self.part is not None:
            return (3 * wanted[0], *wanted[1:])
        return wanted[::-1] if self.transposed else wanted


def source(name: str) -> Source:
    """Return where the tensor of ``CLIPModel`` comes from.

    Raises:
        CheckpointError: open_clip has nothing like it.
    """
    if name in PLAIN:
        return Source(name=PLAIN[name])
    if name in PROJECTIONS:
        return Source(name=PROJECTIONS[name], transposed=True)
    stem, _, kind = name.rpartition(".")
    if stem in NORMS:
        return Source(name=f"{NORMS[stem]}.{kind}")
    found = LAYER.fullmatch(name)
    if found is None or found[3] not in (*INNER, *JOINED):
        raise CheckpointError(f"expected a tensor that open_clip has, found {shown(name)}")
    tower, number, inner, kind = found.groups()
    block = f"{TOWERS[tower]}.resblocks.{number}"
    if inner in JOINED:
        return Source(name=f"{block}.attn.in_proj_{kind}", part=JOINED.index(inner))
    return Source(name=f"{block}.{INNER[inner]}.{kind}")


def config(fields: Mapping[str, Any]) -> tuple[dict[str, Any], Pixels]:
    """Return the fields of ``CLIPConfig``, and how a picture is scaled, of an ``open_clip_config.json``.

    Raises:
        CheckpointError: a field is missing, or one is there that this model does not compute.
    """
    whole = _known(fields, "model_cfg", WHOLE)
    vision, text = _known(whole, "vision_cfg", VISION), _known(whole, "text_cfg", TEXT)
    preprocess = fields.get("preprocess_cfg") or {}
    others = [name for name, usual in PREPROCESS.items() if preprocess.get(name, usual) != usual]
    if others:
        raise CheckpointError(f"preprocess_cfg: expected {PREPROCESS}, found other values of {few(others)}")
    try:
        found = _clip_config(whole, vision, text)
        size = int(vision["image_size"])
        mean, std = (tuple(map(float, preprocess.get(name, usual))) for name, usual in (("mean", MEAN), ("std", STD)))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"expected the sizes of a CLIP model, found {type(error).__name__}: {error}") from error
    return found, Pixels(shortest=size, height=size, width=size, mean=mean, std=std, rounded=True)


def _clip_config(whole: Mapping[str, Any], vision: Mapping[str, Any], text: Mapping[str, Any]) -> dict[str, Any]:
    shared = {
        "hidden_act": "quick_gelu" if whole.get("quick_gelu", False) else "gelu",
        "projection_dim": whole["embed_dim"],
        "layer_norm_eps": 1e-5,
    }
    return {
        "projection_dim": whole["embed_dim"],
        "vision_config": {
            **shared,
            **_sizes(vision, int(vision["width"]) // int(vision.get("head_width", 64))),
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
        },
        "text_config": {
            **shared,
            **_sizes(text, text["heads"]),
            "vocab_size": text["vocab_size"],
            "max_position_embeddings": text["context_length"],
        },
    }


def _sizes(tower: Mapping[str, Any], heads: int) -> dict[str, Any]:
    return {
        "hidden_size": tower["width"],
        "intermediate_size": int(tower["width"] * tower.get("mlp_ratio", 4)),
        "num_hidden_layers": tower["layers"],
        "num_attention_heads": heads,
    }


def _known(fields: Mapping[str, Any], name: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    found = fields.get(name)
    if not isinstance(found, dict):
        raise CheckpointError(f"expected an object {name}, found none")
    others = [shown(key) for key in found if key not in known]
    if others:
        raise CheckpointError(f"{name}: expected a plain CLIP model ({', '.join(known)}), found {few(others)} besides")
    return found
