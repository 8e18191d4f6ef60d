"""LWM's language models as GGUF files of llama.cpp's architecture ``llama``, there and back.

The architecture turns the channels 2i and 2i + 1 of a head together (``LLAMA_ROPE_TYPE_NORM``), as LWM does: queries
and keys are not permuted. What others made of Hugging Face's folders was permuted to that order when it was made.
Source of names and keys: gguf-py/gguf/constants.py.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from lwmport.errors import CheckpointError
from lwmport.models.gguf import GgufModel
from lwmport.models.huggingface import HfConfig, HfName, HfTensor
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig, config_of
from lwmport.models.llama.huggingface import tensors as hf
from lwmport.models.llama.huggingface.names import from_hf
from lwmport.wording import shown

ARCHITECTURE: Final = "llama"
OWN: Final = "lwm"
"""What keys begin with that llama.cpp carries and does not read: how the one vocabulary is divided."""

LAYERS: Final = "transformer/h/"
BLOCKS: Final = "blk."

_PLAIN: Final = {
    "transformer/wte/embedding": "token_embd.weight",
    "transformer/ln_f/kernel": "output_norm.weight",
    "lm_head/kernel": "output.weight",
}
_LAYER: Final = {
    "attention/wq/kernel": "attn_q.weight",
    "attention/wk/kernel": "attn_k.weight",
    "attention/wv/kernel": "attn_v.weight",
    "attention/wo/kernel": "attn_output.weight",
    "feed_forward/w1/kernel": "ffn_gate.weight",
    "feed_forward/w2/kernel": "ffn_down.weight",
    "feed_forward/w3/kernel": "ffn_up.weight",
    "attention_norm/kernel": "attn_norm.weight",
    "ffn_norm/kernel": "ffn_norm.weight",
}
_PLAIN_BACK: Final = {there: here for here, there in _PLAIN.items()}
_LAYER_BACK: Final = {there: here for here, there in _LAYER.items()}

NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "rope.scaling.type": ("none",),
    "rope.scaling.factor": (0.0, 1.0),
    "rope.scale_linear": (0.0, 1.0),
    "attention.clamp_kqv": (0.0,),
    "attention.sliding_window": (0,),
    "attention.causal": (True,),
    "expert_count": (0,),
    "logit_scale": (0.0, 1.0),
    "embedding_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "attention.scale": (0.0,),
}
"""Keys that change what a model computes -> the values that leave LWM's LLaMA as it is."""


def written_name(name: str) -> str:
    """Return the name in a file of our tensor ``name``, one layer each (``transformer/h/0/...``)."""
    layer, _, rest = name.removeprefix(LAYERS).partition("/")
    return _PLAIN[name] if name in _PLAIN else f"{BLOCKS}{int(layer)}.{_LAYER[rest]}"


def named(name: str) -> HfName | None:
    """Return our name of a tensor of a file; None if a LLaMA of LWM has no such tensor."""
    if name in _PLAIN_BACK:
        return HfName(name=_PLAIN_BACK[name], transposed=name == _PLAIN["lm_head/kernel"])
    layer, _, rest = name.removeprefix(BLOCKS).partition(".")
    if not name.startswith(BLOCKS) or rest not in _LAYER_BACK or not layer.isdecimal() or str(int(layer)) != layer:
        return None
    return HfName(name=f"{LAYERS}{layer}/{_LAYER_BACK[rest]}", transposed="norm" not in rest)


def _tensors(config: Mapping[str, Any]) -> tuple[HfTensor, ...]:
    """Return what Hugging Face's folder has too, under other names and not permuted."""
    found = []
    for tensor in hf.tensors(config_of(config)):
        own = from_hf(tensor.name)
        assert own is not None  # noqa: S101 - it was made by the other table
        parts = tuple((name, replace(there, rotary=False)) for name, there in tensor.parts)
        found.append(HfTensor(name=written_name(own.name), parts=parts))
    return tuple(found)


def _keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    config = config_of(fields)
    names = {
        "vocab_size": config.vocab_size + _codes(fields),
        "context_length": config.max_sequence_length,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "rope.dimension_count": config.head_dim,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": float(config.theta),
    }
    return {**{f"{ARCHITECTURE}.{name}": value for name, value in names.items()}, **_division(config)}


def _division(config: LlamaConfig) -> dict[str, Any]:
    """Return how the vocabulary of a vision-language model is divided, and which heads were asked for."""
    if not isinstance(config, VisionLlamaConfig):
        return {}
    return {
        f"{OWN}.text_vocab_size": config.vocab_size,
        f"{OWN}.vision_vocab_size": config.vision_vocab_size,
        f"{OWN}.sample_mode": config.sample_mode,
    }


def _codes(config: Mapping[str, Any]) -> int:
    return int(config.get("vision_vocab_size", 0))


def _read(keys: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> HfConfig:
    _check_keys(keys)
    rows = shapes.get(_PLAIN["transformer/wte/embedding"], (0,))[0]
    heads, tied = _whole(keys, "attention.head_count"), _PLAIN["lm_head/kernel"] not in shapes
    found = {
        "vocab_size": rows,
        "hidden_size": _whole(keys, "embedding_length"),
        "intermediate_size": _whole(keys, "feed_forward_length"),
        "num_hidden_layers": _whole(keys, "block_count"),
        "num_attention_heads": heads,
        "max_sequence_length": _whole(keys, "context_length"),
        "rms_norm_eps": _shortest(_number(keys, "attention.layer_norm_rms_epsilon")),
        "theta": _shortest(_number(keys, "rope.freq_base", 10000.0)),
        "tie_word_embeddings": tied,
        **_shared(keys, heads),
        **_ends_read(keys),
        **_division_read(keys, rows, tied=tied),
    }
    _check_heads(keys, heads, found["hidden_size"])
    assumed = () if f"{ARCHITECTURE}.rope.freq_base" in keys else ("theta",)
    return HfConfig(fields=found, assumed=assumed)


def _check_keys(keys: Mapping[str, Any]) -> None:
    """Refuse what LWM's LLaMA does not compute."""
    for name, usual in NEUTRAL.items():
        value = keys.get(f"{ARCHITECTURE}.{name}", usual[0])
        if value not in usual:
            raise CheckpointError(f"expected {ARCHITECTURE}.{name} {usual[-1]}, found {shown(str(value))}")


def _check_heads(keys: Mapping[str, Any], heads: int, hidden: int) -> None:
    """Refuse heads that do not share the hidden size, or that are not turned whole."""
    size = hidden // heads
    for name in ("rope.dimension_count", "attention.key_length", "attention.value_length"):
        value = keys.get(f"{ARCHITECTURE}.{name}", size)
        if value != size:
            raise CheckpointError(f"expected {ARCHITECTURE}.{name} {size}, found {shown(str(value))}")


def _shared(keys: Mapping[str, Any], heads: int) -> dict[str, int]:
    """Return how many heads of keys and values there are, where that is another number."""
    name = f"{ARCHITECTURE}.attention.head_count_kv"
    found = keys.get(name, heads)
    if not isinstance(found, int) or found < 1 or heads % found:
        raise CheckpointError(f"expected a divisor of {heads} as {name}, found {shown(str(found))}")
    return {} if found == heads else {"num_key_value_heads": found}


def _whole(keys: Mapping[str, Any], name: str) -> int:
    value = keys.get(f"{ARCHITECTURE}.{name}")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CheckpointError(f"expected a whole number of at least 1 as {ARCHITECTURE}.{name}, found {value!r:.60}")
    return value


def _number(keys: Mapping[str, Any], name: str, usual: float | None = None) -> float:
    value = keys.get(f"{ARCHITECTURE}.{name}", usual)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise CheckpointError(f"expected a number above 0 as {ARCHITECTURE}.{name}, found {value!r:.60}")
    return float(value)


def _shortest(value: float) -> float:
    """Return the shortest decimal number that is the same in float32: 1e-06 for 9.999999974752427e-07."""
    return float(f"{value:.7g}")


def _ends_read(keys: Mapping[str, Any]) -> dict[str, int]:
    found = {f"{name}_token_id": keys.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos")}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _division_read(keys: Mapping[str, Any], rows: int, *, tied: bool) -> dict[str, Any]:
    text, codes = keys.get(f"{OWN}.text_vocab_size"), keys.get(f"{OWN}.vision_vocab_size")
    if text is None and codes is None:
        return {}
    if not isinstance(text, int) or not isinstance(codes, int) or text < 1 or codes < 1 or text + codes != rows:
        raise CheckpointError(f"expected {text} rows of text and {codes} of codes, found {rows} in all")
    mode = keys.get(f"{OWN}.sample_mode", "all")
    return {"vocab_size": text, "vision_vocab_size": codes, "sample_mode": mode, "tie_vision_embeddings": tied}


GGUF: Final = GgufModel(
    architecture=ARCHITECTURE,
    components=("llama", "vision-llama"),
    tensors=_tensors,
    keys=_keys,
    codes=_codes,
    read=_read,
    named=named,
    rows=hf.rows,
)
