"""The files that MiniGPT-4 is published as: EVA's tower, BLIP-2's Q-Former with ln_vision, and the projection.

Their names and keys are those of MiniGPT-4's own loaders (minigpt4/models: eva_vit.py, base_model.py, minigpt4.py).
"""

import re
from typing import Final

from lwmport.models.released_files import OwnName, ReleasedFiles, torch_module

BLIP2: Final = "blip2_pretrained_flant5xxl.pth"

_TABLES: Final = {"cls_token": "vit/cls_token", "pos_embed": "vit/pos_embed", "query_tokens": "query_tokens"}
_TOWER: Final = re.compile(
    r"blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)|patch_embed\.proj\.\w+"
)
_BIASES: Final = re.compile(r"blocks\.\d+\.attn\.[qv]_bias")
_QUERIES: Final = re.compile(
    r"Qformer\.bert\.(embeddings\.LayerNorm|encoder\.layer\.\d+\.((attention|crossattention)\.(self\.(query|key|value)|"
    r"output\.(dense|LayerNorm))|(intermediate|output)_query\.(dense|LayerNorm)))\.(weight|bias)"
)
_ENDS: Final = re.compile(r"(ln_vision|llama_proj)\.(weight|bias)")


def named(name: str, rank: int) -> OwnName | None:
    """Return our name of a tensor of one of the files, None for one that the image side does not read."""
    if name in _TABLES:
        return OwnName(name=_TABLES[name])
    if _TOWER.fullmatch(name) or _BIASES.fullmatch(name):
        return torch_module(f"vit.{name}", rank)
    if _QUERIES.fullmatch(name):
        return torch_module(name.replace("Qformer.bert.", "qformer.").replace("qformer.encoder.", "qformer."), rank)
    return torch_module(name, rank) if _ENDS.fullmatch(name) else None


RELEASED: Final = ReleasedFiles(
    named=named,
    homes={
        "vit/": "eva_vit_g.pth",
        "ln_vision/": BLIP2,
        "query_tokens": BLIP2,
        "qformer/": BLIP2,
        "llama_proj/": "pretrained_minigpt4_7b.pth",
    },
)
