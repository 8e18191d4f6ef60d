"""The configuration of a language model: what was asked for, and what the tensors of a checkpoint decide."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.errors import ConfigError, UsageError
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.infer_config import key_size, settled, sizes_of
from lwmport.models.llama.presets import CONFIGS, SIZES, VISION_CONFIGS
from lwmport.models.options import Options, changed, changes
from lwmport.registry import check_known
from lwmport.types import WeightSpec

RELEASED: Final = "lwm"
"""The name of the configuration that is meant when none is named: LWM's size, 7B."""

TOLD: Final = ("hidden_size", "intermediate_size", "num_hidden_layers")
"""What the shapes of a checkpoint tell, of the fields that tell a size from others."""

_TEXT: Final = frozenset({"llama", "llama-decode", "llama-prefill"})
"""Components of the text model alone."""

CODES: Final = "transformer/vte/embedding"
"""The tensor that only a vision-language model has."""


def names(part: str) -> tuple[str, ...]:
    """Return the names of the configurations that a component has; a single layer may be of either model."""
    text = part in _TEXT
    known = {} if part.startswith("vision") else CONFIGS
    return tuple(dict.fromkeys((RELEASED, *known, *({} if text else VISION_CONFIGS))))


def configure(
    config: str | Mapping[str, Any],
    options: Options,
    *,
    part: str = "llama",
    specs: Mapping[str, WeightSpec] | None = None,
) -> LlamaConfig:
    """Return the configuration of a text or vision-language model.

    Args:
        config: the name of a configuration or the fields of one.
        options: its ``settings`` are on top of the configuration, and so is its ``sample_mode``.
        part: the component or group that was asked for.
        specs: the tensors of a checkpoint, which settle sizes.

    Raises:
        UsageError: an unknown configuration, or settings that no model can have.
        ConfigError: values that no model can have, or that the part or the checkpoint contradicts.
        CheckpointError: the checkpoint holds no LLaMA of LWM.
    """
    chosen = _chosen(config, part, specs)
    asked: dict[str, Any] = {}
    if options.sample_mode is not None:
        asked["sample_mode"] = options.sample_mode
        if not isinstance(chosen, VisionLlamaConfig):
            raise UsageError(f"expected a vision-language model for --sample-mode, found {part} with one head")
    fixed = {*asked, *changes(options.settings), *_fixed(config)}
    chosen = changed(chosen, options.settings, asked)
    chosen = chosen if specs is None else settled(chosen, specs, fixed)
    _check_tokens(chosen, options)
    return chosen


def _check_tokens(config: LlamaConfig, options: Options) -> None:
    tokens, positions = options.sequence or 1, config.max_sequence_length
    if tokens > positions:
        raise UsageError(f"expected at most max_sequence_length {positions} tokens at once, found {tokens}")


def _chosen(config: str | Mapping[str, Any], part: str, specs: Mapping[str, WeightSpec] | None) -> LlamaConfig:
    """Return the configuration before settings: of the model with codes where the part or anything else says so."""
    text = part in _TEXT
    if not isinstance(config, str):
        if text and "vision_vocab_size" in config:
            raise ConfigError(
                f"expected a text model's configuration for {part}, found vision_vocab_size; ask for vision-{part}"
            )
        codes = part.startswith("vision") or "vision_vocab_size" in config
        return (VisionLlamaConfig if codes else LlamaConfig).from_json(config)
    codes = part.startswith("vision") or (not text and _has_codes(config, specs))
    known: Mapping[str, LlamaConfig] = VISION_CONFIGS if codes else CONFIGS
    name = config if config != RELEASED else _size_of(specs)
    check_known("configuration or .json file", name, [RELEASED, *known])
    return known[name]


def _has_codes(config: str, specs: Mapping[str, WeightSpec] | None) -> bool:
    return CODES in specs if specs is not None else config in VISION_CONFIGS and config not in CONFIGS


def offers(part: str, specs: Mapping[str, WeightSpec]) -> tuple[str, ...]:
    """Return the names of the configurations that have the sizes of a checkpoint: released models first, long ones.

    Raises:
        CheckpointError: the checkpoint holds no LLaMA of LWM.
    """
    codes = part.startswith("vision") or CODES in specs
    known: Mapping[str, LlamaConfig] = VISION_CONFIGS if codes else CONFIGS
    found = sizes_of(known["debug"], specs)
    sizes = [*(found[name] for name in TOLD), key_size(specs) or found["hidden_size"]]
    told = (*TOLD, "kv_size")
    return tuple(name for name in reversed(list(known)) if [getattr(known[name], field) for field in told] == sizes)


def _size_of(specs: Mapping[str, WeightSpec] | None) -> str:
    """Return the size of LWM's table whose width a checkpoint has; the width tells the heads, which no shape does."""
    table = (specs or {}).get("transformer/wte/embedding")
    widths = {fields["hidden_size"]: name for name, fields in SIZES.items()}
    return widths.get(table.shape[-1], "7b") if table is not None and table.shape else "7b"


def _fixed(config: str | Mapping[str, Any]) -> set[str]:
    """Return the fields that were asked for, which a checkpoint may not contradict."""
    if not isinstance(config, str):
        return set(config) - {"scan_layers", "param_scan_axis"}
    return set() if config == RELEASED else set(SIZES["7b"])
