"""LLaMA configurations with LWM's field names, strictly read."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final, Self

from lwmport.errors import ConfigError
from lwmport.models.configuration import Checked, unknown_fields

SAMPLE_MODES: Final = ("text", "vision", "all")
"""Which heads a vision-language model gives, and which table one token alone is looked up in."""


@dataclass(frozen=True, kw_only=True)
class LlamaConfig(Checked):
    """LWM's options of the text model; the defaults are LWM's, a model of 7B at 4096 tokens.

    Dropout has no effect at inference; ``use_cache`` and the token numbers are carried for whoever generates.
    ``num_key_value_heads`` is none of LWM's: neighbouring queries share so many heads of keys and values; None for one
    of each a query (Ainslie et al., arXiv:2305.13245).

    Raises:
        ConfigError: values that no model can have.
    """

    title: ClassVar[str] = "LLaMA"

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    max_sequence_length: int = 4096
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02
    use_cache: bool = True
    bos_token_id: int | None = 0
    eos_token_id: int | None = 1
    resid_pdrop: float = 0.0
    embd_pdrop: float = 0.0
    attn_pdrop: float = 0.0
    tie_word_embeddings: bool = False
    scan_attention: bool = True
    scan_mlp: bool = True
    scan_query_chunk_size: int = 1024
    scan_key_chunk_size: int = 1024
    scan_mlp_chunk_size: int = 1024
    scan_layers: bool = True
    param_scan_axis: int = 0
    mesh_dim: str | None = None
    theta: float = 10000.0
    num_key_value_heads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no model can have."""
        for field in fields(self):
            what, test = _TYPES[field.type]
            self._expect(field.name, what, test)
        for name in _SIZES:
            self._expect(name, "at least 1", lambda value: value >= 1)
            self._expect(name, f"at most {LARGEST:,}", lambda value: value <= LARGEST)
        self._expect("num_hidden_layers", f"at most {LAYERS:,}", lambda value: value <= LAYERS)
        self._expect("rms_norm_eps", "a number above 0", lambda value: value > 0)
        self._expect("theta", "a number above 1", lambda value: value > 1)
        self._expect("param_scan_axis", "0 or 1", lambda value: value in {0, 1})
        heads = self.num_attention_heads
        self._expect("hidden_size", f"an even multiple of {heads} heads", lambda value: value % (2 * heads) == 0)
        shared = "null or a divisor of num_attention_heads"
        self._expect("num_key_value_heads", shared, lambda value: value is None or (value > 0 and heads % value == 0))

    @property
    def head_dim(self) -> int:
        """Channels of one head: 128 in the released models."""
        return self.hidden_size // self.num_attention_heads

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def kv_size(self) -> int:
        """Channels of the keys, and of the values, of a token."""
        return self.kv_heads * self.head_dim

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def updated(self, values: Mapping[str, Any]) -> Self:
        """Return the configuration with some fields changed.

        Raises:
            ConfigError: an unknown field or a value that no model can have.
        """
        return type(self).from_json({**self.to_json(), **values})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration of a JSON object with LWM's field names; absent fields keep the defaults.

        Raises:
            ConfigError: an unknown field or a value of the wrong type.
        """
        given = {name: value for name, value in values.items() if name not in _BOOKKEEPING}
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ConfigError(f"expected LLaMA fields out of {unknown_fields(unknown, known)}")
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class VisionLlamaConfig(LlamaConfig):
    """LWM's options of the vision-language model: 8192 codes and 256 more rows, of which two mean something."""

    vision_vocab_size: int = 8448
    tie_vision_embeddings: bool = False
    sample_mode: str = "all"

    def __post_init__(self) -> None:
        """Refuse what no model can have."""
        super().__post_init__()
        self._expect("vision_vocab_size", "at least 1", lambda value: value >= 1)
        self._expect("sample_mode", " or ".join(SAMPLE_MODES), lambda value: value in SAMPLE_MODES)

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that ``sample_mode`` asks for, text before vision."""
        return ("text", "vision") if self.sample_mode == "all" else (self.sample_mode,)


def config_of(fields: Mapping[str, Any]) -> LlamaConfig:
    """Return the configuration of a language model from its fields; codes make it a vision-language model.

    Raises:
        ConfigError: values that no model can have.
    """
    return (VisionLlamaConfig if "vision_vocab_size" in fields else LlamaConfig).from_json(fields)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


_TYPES: Final[Mapping[Any, tuple[str, Callable[[Any], bool]]]] = {
    int: ("a whole number", _is_whole),
    int | None: ("a whole number or null", lambda value: value is None or _is_whole(value)),
    float: ("a number", _is_number),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    str: ("a text", lambda value: isinstance(value, str)),
    str | None: ("a text or null", lambda value: value is None or isinstance(value, str)),
}
LARGEST: Final = 2**31 - 1
"""The largest size: what counts elements along an axis is 32 bits wide in most runtimes."""

LAYERS: Final = 1000
"""The most layers: the largest model that is known has some 130, and each layer is traced."""

_SIZES: Final = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_sequence_length",
    "scan_query_chunk_size",
    "scan_key_chunk_size",
    "scan_mlp_chunk_size",
)
_BOOKKEEPING: Final = frozenset({"model_type", "transformers_version", "_name_or_path", "architectures", "torch_dtype"})
"""Fields that LWM's configuration class writes beside its own; none changes the model."""
