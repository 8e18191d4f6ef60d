"""How a LLaMA's tensors are called and laid out by LWM and by Hugging Face's ``LlamaForCausalLM``.

LWM keeps a matrix as ``kernel`` [in, out], Hugging Face as ``weight`` [out, in]. LWM rotates the channels 2i and 2i+1
of a head together, Hugging Face i and i + d/2: the outputs of the query's and key's matrices are in another order
(transformers/models/llama/convert_llama_weights_to_hf.py, ``permute``).
"""

from dataclasses import replace
from typing import Final

from lwmport.errors import CheckpointError
from lwmport.models.huggingface import HfName

LAYERS: Final = "transformer/h/"
HF_LAYERS: Final = "model.layers."
HEAD: Final = "lm_head/kernel"
"""LWM's name of what a model with tied embeddings has not."""


_PLAIN: Final = {
    "transformer/wte/embedding": HfName(name="model.embed_tokens.weight"),
    "transformer/ln_f/kernel": HfName(name="model.norm.weight"),
    HEAD: HfName(name="lm_head.weight", transposed=True),
}
_LAYER: Final = {
    "attention/wq/kernel": HfName(name="self_attn.q_proj.weight", transposed=True, rotary=True),
    "attention/wk/kernel": HfName(name="self_attn.k_proj.weight", transposed=True, rotary=True, shared=True),
    "attention/wv/kernel": HfName(name="self_attn.v_proj.weight", transposed=True),
    "attention/wo/kernel": HfName(name="self_attn.o_proj.weight", transposed=True),
    "feed_forward/w1/kernel": HfName(name="mlp.gate_proj.weight", transposed=True),
    "feed_forward/w2/kernel": HfName(name="mlp.down_proj.weight", transposed=True),
    "feed_forward/w3/kernel": HfName(name="mlp.up_proj.weight", transposed=True),
    "attention_norm/kernel": HfName(name="input_layernorm.weight"),
    "ffn_norm/kernel": HfName(name="post_attention_layernorm.weight"),
}
_PLAIN_BACK: Final = {there.name: replace(there, name=here) for here, there in _PLAIN.items()}
_LAYER_BACK: Final = {there.name: replace(there, name=here) for here, there in _LAYER.items()}


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
    return replace(found, name=f"{other_start}{layer}{other_separator}{found.name}")
