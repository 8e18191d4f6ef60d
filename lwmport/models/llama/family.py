"""The language models as a family: configurations, what a checkpoint settles of them, and components by name."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lwmport.errors import ConfigError, UsageError
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.attention.causal import LOOPED_QUERIES
from lwmport.models.llama import components as llama_components
from lwmport.models.llama import parts as llama_parts
from lwmport.models.llama import static as llama_static
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.infer_config import settled
from lwmport.models.llama.presets import CONFIGS, SIZES, VISION_CONFIGS
from lwmport.models.llama.signatures import DYNAMIC, Lengths
from lwmport.models.llama.weights import StackedSource, checkpoint_weights, llama_weights, stacked_source
from lwmport.models.options import ATTENTIONS, USUAL_ATTENTION, Options, changed, changes
from lwmport.registry import check_known
from lwmport.types import Component, WeightSpec

RELEASED: Final = "lwm"
"""The name of the configuration that is meant when none is named: LWM's size, 7B."""

PREFILL: Final = 128
"""Tokens of a static prefill when no number is asked for."""

CACHE: Final = 2048
"""Slots of a static cache when no number is asked for, or as many as the model has positions."""

CODES: Final = "transformer/vte/embedding"
"""The tensor that only a vision-language model has."""


class LlamaFamily:
    """A text or vision-language model in one configuration (`lwmport.models.families.Builder`).

    Args:
        config: the name of a configuration or the fields of one.
        options: how components are cut out; its ``settings`` are on top of the configuration.
        part: the component or group that was asked for.
        specs: the tensors of a checkpoint, which settle sizes.

    Raises:
        UsageError: an unknown configuration, or settings that no model can have.
        ConfigError: values that no model can have, or that the part or the checkpoint contradicts.
        CheckpointError: the checkpoint holds no LLaMA of LWM.
    """

    def __init__(
        self,
        config: str | Mapping[str, Any],
        options: Options,
        *,
        part: str = "llama",
        specs: Mapping[str, WeightSpec] | None = None,
    ) -> None:
        self.options = options
        chosen = _chosen(config, part, specs)
        asked: dict[str, Any] = {}
        if options.sample_mode is not None:
            asked["sample_mode"] = options.sample_mode
            if not isinstance(chosen, VisionLlamaConfig):
                raise UsageError(f"expected a vision-language model for --sample-mode, found {part} with one head")
        fixed = {*asked, *changes(options.settings), *_fixed(config)}
        chosen = changed(chosen, options.settings, asked)
        self._config = chosen if specs is None else settled(chosen, specs, fixed)

    @property
    def name(self) -> str:
        """``vision-llama`` or ``llama``."""
        return "vision-llama" if isinstance(self._config, VisionLlamaConfig) else "llama"

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration as plain JSON values."""
        return self._config.to_json()

    @property
    def weights(self) -> Mapping[str, WeightSpec]:
        """Every tensor that a checkpoint must hold, stacked over layers where LWM stacks them."""
        return checkpoint_weights(self._config)

    @property
    def sources(self) -> Mapping[str, StackedSource]:
        """Tensor of a component -> which part of a stacked tensor it is."""
        found = {name: stacked_source(self._config, name) for name in llama_weights(self._config)}
        return {name: source for name, source in found.items() if source is not None}

    def component(self, name: str) -> Component:
        """Return one component in float32.

        Raises:
            UsageError: lengths, chunks and form of attention do not go together.
        """
        tokens, positions = self.options.sequence or 1, self._config.max_sequence_length
        if tokens > positions:
            raise UsageError(f"expected at most max_sequence_length {positions} tokens at once, found {tokens}")
        return FACTORIES[name](self._config, self.options)


def _chosen(config: str | Mapping[str, Any], part: str, specs: Mapping[str, WeightSpec] | None) -> LlamaConfig:
    """Return the configuration before settings: of the model with codes where the part or anything else says so."""
    text = part in {"llama", "llama-decode", "llama-prefill"}
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


def _plan(config: LlamaConfig, options: Options) -> AttentionPlan:
    form = ATTENTIONS[options.attention or USUAL_ATTENTION]
    if form == "full":
        return AttentionPlan()
    whole = form == "loop" and options.sequence is None  # a lone query must not be filled up to a block
    return AttentionPlan(
        form=form,
        query_chunk=options.query_chunk or (LOOPED_QUERIES if whole else config.scan_query_chunk_size),
        key_chunk=options.key_chunk or config.scan_key_chunk_size,
        ring=options.ring,
    )


def _lengths(options: Options) -> Lengths:
    return DYNAMIC if options.sequence is None else Lengths(sequence=options.sequence)


def _whole(config: LlamaConfig, options: Options) -> Component:
    return llama_components.llama(config, _lengths(options), _plan(config, options))


def _block(config: LlamaConfig, options: Options) -> Component:
    return llama_parts.llama_block(config, options.layer or 0, _lengths(options), _plan(config, options))


def _embed(config: LlamaConfig, options: Options) -> Component:
    return llama_parts.llama_embed(config, _still(config, options))


def _head(config: LlamaConfig, options: Options) -> Component:
    return llama_parts.llama_head(config, _still(config, options))


def _still(config: LlamaConfig, options: Options) -> Lengths:
    """Return the lengths of a part without attention."""
    return Lengths(sequence=_tokens(config, options), past=0) if options.static else _lengths(options)


def _tokens(config: LlamaConfig, options: Options) -> int:
    return options.sequence or min(PREFILL, config.max_sequence_length)


def _ring(config: LlamaConfig, options: Options) -> Component:
    lengths = llama_parts.WHOLE_RING
    if options.static or options.sequence is not None:
        tokens = _tokens(config, options)
        lengths = Lengths(sequence=tokens, past=tokens)
    return llama_parts.ring_step(config, lengths, _plan(config, options), padded=True)


def _prefill(config: LlamaConfig, options: Options) -> Component:
    return llama_static.llama_prefill(config, *_fixed_lengths(config, options), _static_plan(config, options))


def _decode(config: LlamaConfig, options: Options) -> Component:
    return llama_static.llama_decode(config, _slots(config, options))


def _block_prefill(config: LlamaConfig, options: Options) -> Component:
    lengths, plan = _fixed_lengths(config, options), _static_plan(config, options)
    return llama_static.llama_block_prefill(config, options.layer or 0, *lengths, plan)


def _block_decode(config: LlamaConfig, options: Options) -> Component:
    return llama_static.llama_block_decode(config, options.layer or 0, _slots(config, options))


def _slots(config: LlamaConfig, options: Options) -> int:
    return options.max_length or min(CACHE, config.max_sequence_length)


def _fixed_lengths(config: LlamaConfig, options: Options) -> tuple[int, int]:
    """Return the tokens of a prefill and the slots of its cache."""
    slots = _slots(config, options)
    return options.sequence or min(PREFILL, slots), slots


def _static_plan(config: LlamaConfig, options: Options) -> AttentionPlan | None:
    plan = _plan(config, options)
    return None if plan.form == "full" else plan


FACTORIES: Final[Mapping[str, Callable[[Any, Options], Component]]] = {
    "llama": _whole,
    "llama-block": _block,
    "llama-block-decode": _block_decode,
    "llama-block-prefill": _block_prefill,
    "llama-decode": _decode,
    "llama-embed": _embed,
    "llama-head": _head,
    "llama-prefill": _prefill,
    "ring-step": _ring,
    "vision-llama": _whole,
    "vision-llama-decode": _decode,
    "vision-llama-prefill": _prefill,
}
