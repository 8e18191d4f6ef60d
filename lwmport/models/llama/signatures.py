"""The named inputs and outputs of the language models, as their ecosystem has them.

Integers are int64 in a signature and int32 inside: JAX has no int64 here, and no number of a model needs it. A
converter casts at the edge. A size is a number or a name; ``past + sequence`` is the sum of two of them.
"""

from dataclasses import dataclass, replace
from typing import Final

from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.types import Dim, Kind, State, TensorSpec, TwoTables, Update

BATCH: Final = "batch"
POSITION: Final = "cache_position"
EMBEDS: Final = "inputs_embeds"
"""What goes into a whole model in the place of tokens: the states that an embedding gives."""

TOKENS: Final = 2
"""The axis of the tokens in what has heads [batch, heads, tokens, head_dim]."""

RUNNING: Final = ("numerator", "denominator", "maximum")
"""What a query of a ring keeps (`lwmport.models.attention.blocks.State`)."""


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
    codes = TensorSpec(name="vision_masks", shape=shape, dtype="bool", description="true where an id is a code")
    if lengths.sequence == 1 and config.sample_mode != "all":  # looked up where the mode says, whatever its mask
        rows, what = (
            (config.vocab_size, "tokens") if config.sample_mode == "text" else (config.vision_vocab_size, "codes")
        )
        return (_indices("input_ids", shape, rows, what), codes)
    tables = TwoTables(chosen_by=codes.name, rows=(config.vocab_size, config.vision_vocab_size))
    ids = _indices(
        "input_ids", shape, max(tables.rows), f"tokens below {tables.rows[0]} or codes below {tables.rows[1]}"
    )
    return (replace(ids, tables=tables), codes)


def context_inputs(config: LlamaConfig, lengths: Lengths) -> tuple[TensorSpec, ...]:
    """Return what every layer is told: which tokens are padding, and the positions of the new ones."""
    positions = (BATCH, lengths.sequence)
    return (
        _indices("attention_mask", (BATCH, lengths.total), 2, "0 where a token is padding"),
        _indices("position_ids", positions, config.max_sequence_length, "counted from the first token"),
    )


def cache_position(slots: int) -> TensorSpec:
    """Return where in a cache of fixed length the first new token is written, counted from 0."""
    return _indices(POSITION, (1,), slots, "the slot of the first new token")


def past_inputs(config: LlamaConfig, lengths: Lengths, layers: range) -> tuple[TensorSpec, ...]:
    """Return the rotated keys and the values of the tokens before, layer by layer."""
    names = (state.input for state in grown_caches(layers))
    return tuple(_values(name, _heads(config.kv_heads, config, lengths.past)) for name in names)


def present_outputs(config: LlamaConfig, lengths: Lengths, layers: range) -> tuple[TensorSpec, ...]:
    """Return the same with the new tokens behind."""
    names = (state.output for state in grown_caches(layers))
    return tuple(_values(name, _heads(config.kv_heads, config, lengths.total)) for name in names)


def cache_names(layer: int) -> tuple[State, State]:
    """Return the keys and the values of a layer as states of a cache that grows."""
    key, value = (
        State(
            input=f"past_key_values.{layer}.{part}", output=f"present.{layer}.{part}", axis=TOKENS, update=Update.GROWS
        )
        for part in ("key", "value")
    )
    return key, value


def grown_caches(layers: range) -> tuple[State, ...]:
    """Return the states of layers whose cache becomes longer with every token."""
    return tuple(state for layer in layers for state in cache_names(layer))


def slot_caches(layers: range) -> tuple[State, ...]:
    """Return the states of layers whose cache has slots, which new tokens are written into."""
    return tuple(replace(state, update=Update.SLOT, position=POSITION) for state in grown_caches(layers))


def ring_states() -> tuple[State, ...]:
    """Return what a ring step hands on to the next one."""
    return tuple(State(input=name, output=f"new_{name}", axis=TOKENS, update=Update.REPLACED) for name in RUNNING)


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
    keys = _heads(config.kv_heads, config, lengths.past)
    held = (
        _values("query", _heads(config.num_attention_heads, config, lengths.sequence)),
        _values("key", keys),
        _values("value", keys),
    )
    offsets = tuple(
        TensorSpec(
            name=name, shape=(), dtype="int64", kind=Kind.INDICES, value_range=(0, config.max_sequence_length - 1)
        )
        for name in ("query_offset", "key_offset")
    )
    mask = (_indices("attention_mask", (BATCH, lengths.past), 2, "0 where a key is padding"),) if padded else ()
    return (*held, *ring_state(config, lengths), *offsets, *mask)


def heads_outputs(config: LlamaConfig, lengths: Lengths) -> tuple[TensorSpec, ...]:
    """Return the rotated queries, the rotated keys and the values of new tokens."""
    own, shared = (_heads(count, config, lengths.sequence) for count in (config.num_attention_heads, config.kv_heads))
    return (_values("query", own), _values("key", shared), _values("value", shared))


def ring_state(config: LlamaConfig, lengths: Lengths, prefix: str = "") -> tuple[TensorSpec, ...]:
    """Return what a query keeps; `lwmport.models.attention.blocks.initial_state` is how it begins."""
    shape = _heads(config.num_attention_heads, config, lengths.sequence)
    numerator, *sums = (prefix + name for name in RUNNING)
    return (_values(numerator, shape), *(_values(name, shape[:3]) for name in sums))


def _heads(count: int, config: LlamaConfig, length: Dim) -> tuple[Dim, ...]:
    return (BATCH, count, length, config.head_dim)


def _values(name: str, shape: tuple[Dim, ...]) -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype="float32")


def _indices(name: str, shape: tuple[Dim, ...], size: int, description: str) -> TensorSpec:
    limits = (0, size - 1)
    return TensorSpec(
        name=name, shape=shape, dtype="int64", kind=Kind.INDICES, value_range=limits, description=description
    )
