"""``config.json`` of a Hugging Face LLaMA, to LWM's field names and back; what LWM's LLaMA is not is refused.

Source: transformers/models/llama/configuration_llama.py, and its ``rope_parameters`` from transformers 5 on.
"""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.errors import CheckpointError
from lwmport.models.huggingface import HfConfig
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

ASSUMED: Final = {
    "max_position_embeddings": "max_sequence_length",
    "rms_norm_eps": "rms_norm_eps",
    "rope_theta": "theta",
    "tie_word_embeddings": "tie_word_embeddings",
}
"""Field of `DEFAULTS` -> LWM's."""

GROUPS: Final = "num_key_value_heads"
"""How many heads of keys there are, under the same name here and there."""

ROPES: Final = ("rope_scaling", "rope_parameters")
"""The entries that say how rotary angles are computed."""

NEUTRAL: Final[Mapping[str, tuple[Any, str]]] = {
    "head_dim": (None, ""),
    "hidden_act": ("silu", "the only activation here"),
    "attention_bias": (False, "no bias is computed"),
    "mlp_bias": (False, "no bias is computed"),
    "qkv_bias": (False, "no bias is computed"),
    "quantization_config": (None, "quantized weights are not read"),
    "sliding_window": (None, "every token sees all before it here"),
    "use_sliding_window": (False, "every token sees all before it here"),
    "attention_chunk_size": (None, "every token sees all before it here"),
    "no_rope_layers": (None, "all layers have rotary angles here"),
    "partial_rotary_factor": (1.0, "whole heads are turned here"),
    "rotary_dim": (None, "whole heads are turned here"),
    "rope_interleaved": (False, "LlamaForCausalLM turns halves"),
    "use_qk_norm": (False, "queries and keys are not normalised here"),
    "qk_layernorm": (False, "queries and keys are not normalised here"),
    "attn_logit_softcapping": (None, "scores are not capped here"),
    "final_logit_softcapping": (None, "logits are not capped here"),
    "embedding_multiplier": (1.0, "nothing is scaled here"),
    "attention_multiplier": (None, "scores are scaled by the head size here"),
    "residual_multiplier": (1.0, "nothing is scaled here"),
    "logits_scaling": (1.0, "nothing is scaled here"),
    "logit_scale": (1.0, "nothing is scaled here"),
    "num_local_experts": (None, "no experts are computed"),
    "num_experts": (None, "no experts are computed"),
    "add_cross_attention": (False, "there is no second input here"),
    "is_encoder_decoder": (False, "there is no encoder here"),
    "pruned_heads": ({}, "all heads are computed"),
    "tie_encoder_decoder": (False, "there is no encoder here"),
    "layer_types": ([], ""),
}
"""Keys that change what a model computes -> the one value that leaves LWM's LLaMA as it is, and why."""

HARMLESS: Final = frozenset(
    [
        *("_attn_implementation", "_commit_hash", "_name_or_path", "architectures", "attention_dropout", "auto_map"),
        *("bos_token_id", "chunk_size_feed_forward", "cross_attention_hidden_size", "decoder_start_token_id"),
        *("dtype", "eos_token_id", "finetuning_task", "id2label", "initializer_range", "is_decoder", "label2id"),
        *("lwmport", "model_type", "output_attentions", "output_hidden_states", "pad_token_id", "prefix"),
        *("pretraining_tp", "problem_type", "remove_invalid_values", "return_dict", "sep_token_id"),
        *("task_specific_params", "tf_legacy_loss", "tokenizer_class", "torch_dtype", "torchscript"),
        *("transformers_version", "use_bfloat16", "use_cache"),
    ]
)
"""Keys that change nothing of what a model computes."""

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
    found |= _shared(values, found["num_attention_heads"])
    found["rms_norm_eps"] = _number(values, "rms_norm_eps")
    found["theta"] = _theta(values)
    found["tie_word_embeddings"] = _flag(values, "tie_word_embeddings")
    return {**found, **_tokens(values), **_codes(values, found["vocab_size"])}


def told_config(fields: Mapping[str, Any]) -> HfConfig:
    """Return the fields of a ``config.json`` under LWM's names, which of them it leaves out, and what it says besides.

    Raises:
        CheckpointError: as `hf_config` does.
    """
    found = hf_config(fields)
    rope = _rope(fields)
    said = {name for name, value in fields.items() if value is not None} | ({"rope_theta"} & rope.keys())
    assumed = tuple(there for here, there in ASSUMED.items() if here not in said)
    known = {*SIZES, GROUPS, *DEFAULTS, *NEUTRAL, *HARMLESS, *ROPES, OWN}
    unused = sorted(map(str, set(fields) - known))
    if fields.get("rope_theta", found["theta"]) not in (None, found["theta"]):
        unused.append(f"rope_theta {fields['rope_theta']}, for rope_parameters says {found['theta']:g}")
    return HfConfig(fields=found, assumed=assumed, unused=tuple(unused))


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
        "num_key_value_heads": config.get("num_key_value_heads") or heads,
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
        **NEUTRAL,
        "head_dim": (found["hidden_size"] // max(heads, 1), "the heads share the hidden size here"),
    }
    for name, (value, why) in wanted.items():
        if why and values.get(name, value) != value:
            raise CheckpointError(f"expected {name} {value}, found {shown(str(values[name]))}: {why}")
    layers = values.get("layer_types", [])
    other = next((kind for kind in layers if kind != "full_attention"), None) if isinstance(layers, list) else layers
    if other is not None:
        raise CheckpointError(
            f"expected layer_types full_attention, found {shown(str(other))!r}: every layer sees all tokens here"
        )
    for name in ROPES:
        _check_rope(name, values.get(name, {}))


def _check_rope(name: str, rope: object) -> None:
    """Refuse angles that are scaled, or computed for a part of a head, however that is said."""
    if not isinstance(rope, Mapping):
        raise CheckpointError(
            f"expected rotary angles as they are, found {name} {shown(kind_of(rope))!r}: scaled ones are not computed"
        )
    usual = {"rope_type": "default", "type": "default", "partial_rotary_factor": 1.0, "factor": 1.0}
    for key, value in sorted(rope.items(), key=lambda item: "type" not in str(item[0])):
        if key != "rope_theta" and value is not None and (key not in usual or value != usual[key]):
            found = repr(shown(str(value))) if "type" in str(key) else f"with {shown(str(key))} {shown(str(value))}"
            raise CheckpointError(
                f"expected rotary angles as they are, found {name} {found}: scaled ones are not computed"
            )


def _rope(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the entries on rotary angles say, from transformers 5 on the base too."""
    entries = (values.get(name) for name in ROPES)
    found = (entry.items() for entry in entries if isinstance(entry, Mapping))
    return {key: value for items in found for key, value in items if value is not None}


def _theta(values: Mapping[str, Any]) -> float:
    """Return the base of the angles; what stands in the entries on angles counts, as in transformers 5."""
    return _number({"rope_theta": values["rope_theta"], **_rope(values)}, "rope_theta")


def _size(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < LARGEST:
        raise CheckpointError(f"expected a whole number of at least 1 as {name}, found {shown(repr(value))}")
    return value


def _shared(values: Mapping[str, Any], heads: int) -> dict[str, int]:
    """Return how many heads of keys there are, where queries share them."""
    count = _size({GROUPS: heads, **values}, GROUPS)
    if heads % count:
        raise CheckpointError(f"expected a divisor of {heads} heads as {GROUPS}, found {count}")
    return {} if count == heads else {GROUPS: count}


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
