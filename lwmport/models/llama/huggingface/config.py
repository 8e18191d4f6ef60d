"""``config.json`` of a Hugging Face LLaMA, to LWM's field names and back; what LWM's LLaMA is not is refused.

Source: transformers/models/llama/configuration_llama.py, and its ``rope_parameters`` from transformers 5 on.
"""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.errors import CheckpointError
from lwmport.wording import kind_of, shown

ARCHITECTURE: Final = "LlamaForCausalLM"
KIND: Final = "llama"
"""What ``config.json`` calls it, as its one architecture and as its ``model_type``."""

SIZES: Final = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_hidden_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "max_position_embeddings": "max_sequence_length",
}
"""Hugging Face's field -> LWM's, whole numbers that are always there but the last."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
"""What ``LlamaConfig`` assumes for fields that are absent."""

OWN: Final = "lwm"
"""The entry that transformers carries and does not read: how the one vocabulary is divided into text and codes."""

LARGEST: Final = 1 << 31


def hf_config(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``config.json`` under LWM's names.

    Raises:
        CheckpointError: one of LLaMA's options that LWM's has not: grouped heads, scaled rotary angles, biases,
            quantized weights, another activation or head size.
    """
    values = {**DEFAULTS, **{name: value for name, value in fields.items() if value is not None}}
    found: dict[str, Any] = {there: _size(values, here) for here, there in SIZES.items()}
    _check_options(values, found)
    found["rms_norm_eps"] = _number(values, "rms_norm_eps")
    found["theta"] = _theta(values)
    found["tie_word_embeddings"] = _flag(values, "tie_word_embeddings")
    return {**found, **_tokens(values), **_codes(values, found["vocab_size"])}


def hf_fields(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Return the ``config.json`` of a configuration with LWM's field names and weights of ``dtype`` (numpy's name)."""
    heads = config["num_attention_heads"]
    return {
        "architectures": [ARCHITECTURE],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": config.get("bos_token_id"),
        "eos_token_id": config.get("eos_token_id"),
        "head_dim": config["hidden_size"] // heads,
        "hidden_act": "silu",
        **{here: config[there] for here, there in SIZES.items()},
        "initializer_range": config.get("initializer_range", 0.02),
        "mlp_bias": False,
        "model_type": KIND,
        "num_key_value_heads": heads,
        "pretraining_tp": 1,
        "rms_norm_eps": config["rms_norm_eps"],
        "rope_scaling": None,
        "rope_theta": config["theta"],
        "tie_word_embeddings": config["tie_word_embeddings"],
        "torch_dtype": dtype,
        "use_cache": True,
    }


def _check_options(values: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    heads = found["num_attention_heads"]
    wanted = {
        "num_key_value_heads": (heads, "LWM's heads are not grouped"),
        "head_dim": (found["hidden_size"] // max(heads, 1), "LWM's heads share the hidden size"),
        "hidden_act": ("silu", "LWM's activation"),
        "attention_bias": (False, "LWM has no biases"),
        "mlp_bias": (False, "LWM has no biases"),
        "quantization_config": (None, "quantized weights are not read"),
    }
    for name, (value, why) in wanted.items():
        if values.get(name, value) != value:
            raise CheckpointError(f"expected {name} {value}, found {shown(str(values[name]))}: {why}")
    for name in ("rope_scaling", "rope_parameters"):
        _check_rope(name, values.get(name, {}))


def _check_rope(name: str, rope: object) -> None:
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, Mapping) else kind_of(rope)
    if kind != "default":
        raise CheckpointError(f"expected rotary angles as they are, found {name} {shown(str(kind))!r}: LWM scales none")


def _theta(values: Mapping[str, Any]) -> float:
    rope = values.get("rope_parameters", {})
    return _number({**values, **({"rope_theta": rope["rope_theta"]} if "rope_theta" in rope else {})}, "rope_theta")


def _size(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < LARGEST:
        raise CheckpointError(f"expected a whole number of at least 1 as {name}, found {shown(repr(value))}")
    return value


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < LARGEST**2:
        raise CheckpointError(f"expected a number above 0 as {name}, found {shown(repr(value))}")
    return float(value)


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values[name]
    if not isinstance(value, bool):
        raise CheckpointError(f"expected true or false as {name}, found {shown(repr(value))}")
    return value


def _tokens(values: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of the first and last token where they are one number each: some models have several."""
    found = {name: values.get(name) for name in ("bos_token_id", "eos_token_id")}
    return {name: value for name, value in found.items() if isinstance(value, int) and not isinstance(value, bool)}


def _codes(values: Mapping[str, Any], total: int) -> dict[str, int]:
    """Return the sizes of both vocabularies where the rows of the codes stand behind those of the text."""
    match values.get(OWN, {}):
        case {"text_vocab_size": int() as text, "vision_vocab_size": int() as codes, "first_code": int() as first}:
            if text != first or text < 1 or codes < 1 or text + codes != total:
                raise CheckpointError(f"expected {text} rows of text and {codes} of codes, found {total} in all")
            return {"vocab_size": text, "vision_vocab_size": codes}
        case _:
            return {}
