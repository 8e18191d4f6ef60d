"""How a LLaMA's tensors are called and laid out by LWM and by Hugging Face's ``LlamaForCausalLM``.

LWM keeps a matrix as ``kernel`` [in, out], Hugging Face as ``weight`` [out, in]. LWM rotates the channels 2i and 2i+1
of a head together, Hugging Face i and i + d/2: the outputs of the query's and key's matrices are in another order
(transformers/models/llama/convert_llama_weights_to_hf.py, ``permute``).
"""

from dataclasses import dataclass
from typing import Final

from lwmport.checkpoints.layout import Layout
from lwmport.errors import CheckpointError

LAYERS: Final = "transformer/h/"
HF_LAYERS: Final = "model.layers."
HEAD: Final = "lm_head/kernel"
"""LWM's name of what a model with tied embeddings has not."""


@dataclass(frozen=True, kw_only=True)
class HfName:
    """One tensor's name on the other side, and what lies between the two layouts.

    Attributes:
        name: the name.
        transposed: the matrix is the other's transpose.
        rotary: the channels of each head are in the other order.
    """

    name: str
    transposed: bool = False
    rotary: bool = False


_PLAIN: Final = {
    "transformer/wte/embedding": HfName(name="model.embed_tokens.weight"),
    "transformer/ln_f/kernel": HfName(name="model.norm.weight"),
    HEAD: HfName(name="lm_head.weight", transposed=True),
}
_LAYER: Final = {
    "attention/wq/kernel": HfName(name="self_attn.q_proj.weight", transposed=True, rotary=True),
    "attention/wk/kernel": HfName(name="self_attn.k_proj.weight", transposed=True, rotary=True),
    "attention/wv/kernel": HfName(name="self_attn.v_proj.weight", transposed=True),
    "attention/wo/kernel": HfName(name="self_attn.o_proj.weight", transposed=True),
    "feed_forward/w1/kernel": HfName(name="mlp.gate_proj.weight", transposed=True),
    "feed_forward/w2/kernel": HfName(name="mlp.down_proj.weight", transposed=True),
    "feed_forward/w3/kernel": HfName(name="mlp.up_proj.weight", transposed=True),
    "attention_norm/kernel": HfName(name="input_layernorm.weight"),
    "ffn_norm/kernel": HfName(name="post_attention_layernorm.weight"),
}
_PLAIN_BACK: Final = {
    there.name: HfName(name=here, transposed=there.transposed, rotary=there.rotary) for here, there in _PLAIN.items()
}
_LAYER_BACK: Final = {
    there.name: HfName(name=here, transposed=there.transposed, rotary=there.rotary) for here, there in _LAYER.items()
}


def to_hf(name: str) -> HfName:
    """Return Hugging Face's name of LWM's tensor ``name``, one layer each (``transformer/h/0/...``).

    Raises:
        CheckpointError: no tensor of a text model by that name.
    """
    found = _PLAIN.get(name) or _in_layer(name, LAYERS, "/", _LAYER, HF_LAYERS, ".")
    if found is None:
        raise CheckpointError(f"expected a tensor of LWM's text model, found {name!r}, which Hugging Face's has not")
    return found


def from_hf(name: str) -> HfName | None:
    """Return LWM's name of Hugging Face's tensor ``name``; None if a LLaMA of LWM has no such tensor."""
    return _PLAIN_BACK.get(name) or _in_layer(name, HF_LAYERS, ".", _LAYER_BACK, LAYERS, "/")


def _in_layer(
    name: str, start: str, separator: str, table: dict[str, HfName], other_start: str, other_separator: str
) -> HfName | None:
    layer, _, rest = name.removeprefix(start).partition(separator)
    found = table.get(rest)
    if not name.startswith(start) or found is None or not layer.isdecimal() or str(int(layer)) != layer:
        return None
    return HfName(
        name=f"{other_start}{layer}{other_separator}{found.name}", transposed=found.transposed, rotary=found.rotary
    )


def layout_to_hf(shape: tuple[int, ...], other: HfName, heads: int) -> Layout | None:
    """Return how LWM's array of ``shape`` becomes Hugging Face's; None: it is the same.

    Raises:
        CheckpointError: a matrix without two axes, or channels that do not divide into pairs of ``heads``.
    """
    if not other.transposed:
        return None
    inputs, outputs = _matrix(shape, other.name)
    if not other.rotary:
        return Layout(view=shape, axes=(1, 0), shape=(outputs, inputs))
    pairs = _pairs(outputs, heads, other.name)
    return Layout(view=(inputs, heads, pairs, 2), axes=(1, 3, 2, 0), shape=(outputs, inputs))


def layout_from_hf(shape: tuple[int, ...], other: HfName, heads: int) -> Layout | None:
    """Return how Hugging Face's array of ``shape`` becomes LWM's; None: it is the same.

    Raises:
        CheckpointError: a matrix without two axes, or channels that do not divide into pairs of ``heads``.
    """
    if not other.transposed:
        return None
    outputs, inputs = _matrix(shape, other.name)
    if not other.rotary:
        return Layout(view=shape, axes=(1, 0), shape=(inputs, outputs))
    pairs = _pairs(outputs, heads, other.name)
    return Layout(view=(heads, 2, pairs, inputs), axes=(3, 0, 2, 1), shape=(inputs, outputs))


def _matrix(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    if len(shape) != 2:
        raise CheckpointError(f"{name}: expected a matrix, found the shape {shape}")
    return shape[0], shape[1]


def _pairs(outputs: int, heads: int, name: str) -> int:
    if outputs % (2 * heads):
        raise CheckpointError(f"{name}: expected outputs in pairs for {heads} heads, found {outputs}")
    return outputs // (2 * heads)
