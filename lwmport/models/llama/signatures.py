"""The named inputs and outputs of the language models, as their ecosystem has them.

Integers are int64 in a signature and int32 inside: JAX has no int64 here, and no number of a model needs it. A
converter casts at the edge. A size is a number or a name; ``past + sequence`` is the sum of two of them.
"""

from dataclasses import dataclass
from typing import Final

from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.types import Dim, Kind, TensorSpec

BATCH: Final = "batch"


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Tokens fed at once and tokens in the cache: numbers, or names of dynamic sizes."""

    sequence: Dim = "sequence"
    past: Dim = "past"

    @property
    def total(self) -> Dim:
        """Tokens in the cache afterwards."""
        if isinstance(self.past, int) and isinstance(self.sequence, int):
            return self.past + self.sequence
        return self.sequence if self.past == 0 else f"{self.past} + {self.sequence}"


DYNAMIC: Final = Lengths()
"""Any number of new tokens behind any number of old ones: prefill and decoding in one program."""


def token_inputs(config: LlamaConfig, lengths: Lengths) -> tuple[TensorSpec, ...]:
    """Return what an embedding takes: ids, and for vision-language which of them are codes."""
    shape = (BATCH, lengths.sequence)
    if not isinstance(config, VisionLlamaConfig):
        return (_indices("input_ids", shape, config.vocab_size, "tokens"),)
    rows = max(config.vocab_size, config.vision_vocab_size)
    codes = TensorSpec(name="vision_masks", shape=shape, dtype="bool", description="true where an id is a code")
    return (_indices("input_ids", shape, rows, "tokens or codes"), codes)


def context_inputs(config: LlamaConfig, lengths: Lengths) -> tuple[TensorSpec, ...]:
    """Return what every layer is told: which tokens are padding, and the positions of the new ones."""
    positions = (BATCH, lengths.sequence)
    return (
        _indices("attention_mask", (BATCH, lengths.total), 2, "0 where a token is padding"),
        _indices("position_ids", positions, config.max_sequence_length, "counted from the first token"),
    )


def cache_position(slots: int) -> TensorSpec:
    """Return where in a cache of fixed length the first new token is written, counted from 0."""
    return _indices("cache_position", (1,), slots, "the slot of the first new token")


def past_inputs(config: LlamaConfig, lengths: Lengths, layers: range) -> tuple[TensorSpec, ...]:
    """Return the rotated keys and the values of the tokens before, layer by layer."""
    return _caches(config, "past_key_values", lengths.past, layers)


def present_outputs(config: LlamaConfig, lengths: Lengths, layers: range) -> tuple[TensorSpec, ...]:
    """Return the same with the new tokens behind."""
    return _caches(config, "present", lengths.total, layers)


def logits_outputs(config: LlamaConfig, lengths: Lengths) -> tuple[TensorSpec, ...]:
    """Return the logits of the text model, or of each head that ``sample_mode`` asks for."""
    if not isinstance(config, VisionLlamaConfig):
        return (_values("logits", (BATCH, lengths.sequence, config.vocab_size)),)
    sizes = {"text": config.vocab_size, "vision": config.vision_vocab_size}
    return tuple(_values(f"{name}_logits", (BATCH, lengths.sequence, sizes[name])) for name in config.heads)


def hidden_states(config: LlamaConfig, lengths: Lengths, name: str = "hidden_states") -> TensorSpec:
    """Return the states between layers; what goes in and what comes out need different names in ONNX."""
    return _values(name, (BATCH, lengths.sequence, config.hidden_size))


def ring_inputs(config: LlamaConfig, lengths: Lengths, *, padded: bool) -> tuple[TensorSpec, ...]:
    """Return what one ring step takes: queries, keys and values held now, the state, where both slices begin."""
    keys = _heads(config, lengths.past)
    held = (_values("query", _heads(config, lengths.sequence)), _values("key", keys), _values("value", keys))
    offsets = tuple(
        TensorSpec(
            name=name, shape=(), dtype="int64", kind=Kind.INDICES, value_range=(0, config.max_sequence_length - 1)
        )
        for name in ("query_offset", "key_offset")
    )
    mask = (_indices("attention_mask", (BATCH, lengths.past), 2, "0 where a key is padding"),) if padded else ()
    return (*held, *ring_state(config, lengths), *offsets, *mask)


def ring_state(config: LlamaConfig, lengths: Lengths, prefix: str = "") -> tuple[TensorSpec, ...]:
    """Return what a query keeps; `lwmport.models.attention.blocks.initial_state` is how it begins."""
    shape = _heads(config, lengths.sequence)
    sums = tuple(_values(prefix + name, shape[:3]) for name in ("denominator", "maximum"))
    return (_values(prefix + "numerator", shape), *sums)


def _caches(config: LlamaConfig, prefix: str, length: Dim, layers: range) -> tuple[TensorSpec, ...]:
    shape = _heads(config, length)
    return tuple(_values(f"{prefix}.{layer}.{part}", shape) for layer in layers for part in ("key", "value"))


def _heads(config: LlamaConfig, length: Dim) -> tuple[Dim, ...]:
    return (BATCH, config.num_attention_heads, length, config.head_dim)


def _values(name: str, shape: tuple[Dim, ...]) -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype="float32")


def _indices(name: str, shape: tuple[Dim, ...], size: int, description: str) -> TensorSpec:
    limits = (0, size - 1)
    return TensorSpec(
        name=name, shape=shape, dtype="int64", kind=Kind.INDICES, value_range=limits, description=description
    )
