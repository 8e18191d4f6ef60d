"""The files in which MiniGPT-4's image side is published, and how their tensors are called here.

Source: minigpt4/models/eva_vit.py, base_model.py, minigpt4.py and runners/runner_base.py of Vision-CAIR/MiniGPT-4.
"""

from collections.abc import Callable, Mapping
from typing import Final

from lwmport.models.huggingface import HfName
from lwmport.models.released_files import ReleasedFiles
from lwmport.models.vit.names import CONV, MATRIX, NORM, PLAIN, table

TOWER_FILE: Final = "eva_vit_g.pth"
QUERIES_FILE: Final = "blip2_pretrained_flant5xxl.pth"
PROJECTION_FILE: Final = "pretrained_minigpt4_7b.pth"

_TOWER: Final = {
    "cls_token": PLAIN,
    "pos_embed": PLAIN,
    "patch_embed.proj": CONV,
    "blocks.*.norm1": NORM,
    "blocks.*.norm2": NORM,
    "blocks.*.attn.q_bias": PLAIN,
    "blocks.*.attn.v_bias": PLAIN,
    "blocks.*.attn.qkv": MATRIX,
    "blocks.*.attn.proj": MATRIX,
    "blocks.*.mlp.fc1": MATRIX,
    "blocks.*.mlp.fc2": MATRIX,
}
_LAYER: Final = "Qformer.bert.encoder.layer.*"
_QUERIES: Final = {
    "query_tokens": PLAIN,
    "ln_vision": NORM,
    "Qformer.bert.embeddings.LayerNorm": NORM,
    **{
        f"{_LAYER}.{kind}.self.{name}": MATRIX
        for kind in ("attention", "crossattention")
        for name in ("query", "key", "value")
    },
    **{f"{_LAYER}.{kind}.output.dense": MATRIX for kind in ("attention", "crossattention")},
    **{f"{_LAYER}.{kind}.output.LayerNorm": NORM for kind in ("attention", "crossattention")},
    f"{_LAYER}.intermediate_query.dense": MATRIX,
    f"{_LAYER}.output_query.dense": MATRIX,
    f"{_LAYER}.output_query.LayerNorm": NORM,
}
_PROJECTION: Final = {"llama_proj": MATRIX}


def _of_queries(path: str) -> str:
    return path.replace("Qformer/bert/encoder/", "qformer/").replace("Qformer/bert/", "qformer/")


_TABLES: Final[Mapping[str, Callable[[str], HfName | None]]] = {
    TOWER_FILE: table(_TOWER, lambda path: f"vit/{path}"),
    QUERIES_FILE: table(_QUERIES, _of_queries),
    PROJECTION_FILE: table(_PROJECTION, lambda path: path),
}


def _named(name: str) -> HfName | None:
    return next((found for named in _TABLES.values() if (found := named(name))), None)


RELEASED: Final = ReleasedFiles(
    named=_named,
    signs=(
        "blocks.0.attn.q_bias",
        "Qformer.bert.embeddings.LayerNorm.weight",
        "ln_vision.weight",
        "ln_vision.bias",
        "llama_proj.weight",
    ),
    homes={
        "vit/": TOWER_FILE,
        "ln_vision/": QUERIES_FILE,
        "query_tokens": QUERIES_FILE,
        "qformer/": QUERIES_FILE,
        "llama_proj/": PROJECTION_FILE,
    },
)
