"""Which tensor of a language model is in which kind of blocks: what llama.cpp writes without an importance matrix.

Source: llama.cpp's src/llama-quant.cpp, ``llama_tensor_get_type_impl`` and ``tensor_type_fallback``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.ggml_kinds import KINDS


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What ``--quantize`` may name.

    Attributes:
        name: its word.
        usual: the kind of most tensors.
        file_type: the number of such a file (``llama_ftype`` in llama.h).
        finer: the kind of those tensors of some layers that cost the most when they are rounded; empty for none.
    """

    name: str
    usual: str
    file_type: int
    finer: str = ""


MIXES: Final = {
    mix.name: mix
    for mix in (
        Mix(name="q8_0", usual="Q8_0", file_type=7),
        Mix(name="q5_0", usual="Q5_0", file_type=8),
        Mix(name="q4_0", usual="Q4_0", file_type=2),
        Mix(name="q4_1", usual="Q4_1", file_type=3),
        Mix(name="q6_k", usual="Q6_K", file_type=18),
        Mix(name="q4_k_m", usual="Q4_K", file_type=15, finer="Q6_K"),
    )
}

TABLE: Final = "token_embd"
HEAD: Final = "output"
HEADS_KIND: Final = "Q6_K"
"""What a head is stored in, and a table that is the head too, by every mix but that of 8 bits."""

FINER: Final = ("attn_v", "ffn_down")
"""Tensors that are in the finer kind in some layers."""

SHARED_LAYERS: Final = 80
"""Layers of LLaMA-2-70B, whose heads of values are few: ``attn_v`` has 5 bits there in place of 4."""

NARROW: Final[Mapping[str, str]] = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""Kind of blocks of 256 values -> the one of 32 that stands in for it where a row does not divide into 256."""

PLAIN: Final = "F16"
"""What a tensor is stored in whose rows do not divide into 32."""


def kind_of(mix: Mix, name: str, row: int, layers: int, *, tied: bool, grouped: bool = False) -> str:
    """Return the kind that a matrix or a table is stored in.

    Args:
        mix: what was asked for.
        name: the tensor's name in a file: ``blk.3.attn_v.weight``.
        row: values of a row.
        layers: of the model.
        tied: whether the table is the head too.
        grouped: whether there are fewer heads of values than of queries.
    """
    wanted = _wanted(mix, name.removesuffix(".weight"), row, layers, tied=tied)
    if grouped and layers == SHARED_LAYERS and wanted == "Q4_K" and ".attn_v." in name:
        wanted = "Q5_K"
    return _fitting(wanted, row)


def _wanted(mix: Mix, name: str, row: int, layers: int, *, tied: bool) -> str:
    if name == HEAD or (tied and name == TABLE):
        return "Q8_0" if mix.usual == "Q8_0" or row % KINDS[mix.usual].values else HEADS_KIND
    _, _, rest = name.partition(".")
    layer, _, what = rest.partition(".")
    return mix.finer if mix.finer and what in FINER and is_finer(int(layer), layers) else mix.usual


def is_finer(layer: int, layers: int) -> bool:
    """Return whether a layer is one of the first and last eighths, or every third between them."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _fitting(kind: str, row: int) -> str:
    found = kind if row % KINDS[kind].values == 0 else NARROW.get(kind, PLAIN)
    return found if found == PLAIN or row % KINDS[found].values == 0 else PLAIN
