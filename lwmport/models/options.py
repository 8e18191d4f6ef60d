"""What a user may choose about a model beside its configuration; nothing here changes what the model computes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from lwmport.errors import ConfigError, UnusedOptionError, UsageError
from lwmport.models.configuration import Config
from lwmport.models.recipe import expanded, kinds_of
from lwmport.models.schemes import BLOCKS, INTEGERS, ROUNDINGS, SCHEMES, check_group, check_neighbours, kept
from lwmport.options import Place, check_values, of_place, values_of, words
from lwmport.registry import check_known
from lwmport.requests import check_types
from lwmport.types import ADDED, Dialect

ATTENTIONS: Final[Mapping[str, str]] = {"fused": "full", "loop": "loop", "unrolled": "unrolled"}
"""Form of attention as it is asked for -> that of the decomposition (`lwmport.models.attention.blocks`)."""

USUAL_ATTENTION: Final = "fused"
"""The form where nobody asks for another: it stays unsaid, in a manifest as on the command line."""

EMBEDDED: Final = "embeds"
"""The form of inputs of a language model that takes embeddings, of tokens and of pictures among them."""


_Config = TypeVar("_Config", bound=Config)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a component is cut out of its model. `lwmport.options` has a row for each field but ``static``.

    Attributes:
        settings: changes of the configuration, ``field=value`` each.
        precision: the dtype of weights and of what is computed with them: float32, float16 or bfloat16.
        keep_float32: patterns of the operators that stay in float32 where ``precision`` is narrower
            (`lwmport.models.wide_parts.matches`).
        store: what weights are stored as, one of `lwmport.models.schemes.SCHEMES`; empty for ``precision``.
        quantize: the kind of integers that weights are rounded to; empty for none.
        group_size: values that share a scale; None for the usual number.
        symmetric: whether zero is stored as zero, without zero points.
        method: how scales are chosen; empty for rounding to nearest.
        keep: weights that are not quantised, ``pattern=dtype`` each.
        recipe: how some weights are quantised, as `lwmport.models.recipe.expanded` takes it and makes it.
        layer: the layer that a single block is; None for the first.
        sample_mode: the heads of a vision-language model; None leaves it to the configuration.
        attention: one of `ATTENTIONS`; empty for the form that the dialect prefers.
        query_chunk: queries in a block; None leaves it to the configuration.
        key_chunk: keys in a block; None leaves it to the configuration.
        ring: ranks of an unrolled ring.
        sequence: tokens in one run; None for any number, or for `lwmport.models.llama.factories.PREFILL` where static.
        max_length: tokens in a static KV cache; None for the configuration's longest sequence.
        input_form: what goes into a language model, ``tokens`` or `EMBEDDED`.
        cache: the dtype of a KV cache where ``precision`` is float32, one of `lwmport.types.CACHED` or float32.
        layout: axes of the pictures that go in, ``nchw`` or ``nhwc``; empty for those that the dialect wants.
        with_preprocessing: whether pictures come as bytes, which the model scales itself.
        static: no dynamic sizes: a language model becomes a prefill and a decode with a cache of fixed length.
        rounding: the table of schemes that ``quantize`` is a name in (`lwmport.models.schemes.ROUNDINGS`).
        packing: how a folder holds quantised weights, as the dialect says; empty where there is no folder.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
        UnusedOptionError: a field changes nothing beside another one.
    """

    settings: tuple[str, ...] = ()
    precision: str = "float32"
    keep_float32: tuple[str, ...] = field(default=(), metadata=ADDED)
    store: str = field(default="", metadata=ADDED)
    quantize: str = field(default="", metadata=ADDED)
    group_size: int | None = field(default=None, metadata=ADDED)
    symmetric: bool = field(default=True, metadata=ADDED)
    method: str = field(default="", metadata=ADDED)
    keep: tuple[str, ...] = field(default=(), metadata=ADDED)
    recipe: tuple[str, ...] = field(default=(), metadata=ADDED)
    layer: int | None = None
    sample_mode: str | None = None
    attention: str = ""
    query_chunk: int | None = None
    key_chunk: int | None = None
    ring: int = 1
    sequence: int | None = None
    max_length: int | None = None
    input_form: str = field(default="tokens", metadata=ADDED)
    cache: str = field(default="float32", metadata=ADDED)
    layout: str = field(default="", metadata=ADDED)
    with_preprocessing: bool = field(default=False, metadata=ADDED)
    static: bool = False
    rounding: str = field(default="", metadata=ADDED)
    packing: str = field(default="", metadata=ADDED)

    def __post_init__(self) -> None:
        """Refuse types and values that no option has."""
        check_types(self)
        check_values(self, Place.MODEL)
        object.__setattr__(self, "recipe", expanded(self.recipe))
        _check_storage(self)
        if self.ring > 1 and self.attention != "unrolled":
            found = self.attention or "none asked for"
            raise UnusedOptionError(f"expected --attention unrolled for a ring of {self.ring}, found {found}", "ring")

    def completed(self, dialect: Dialect) -> "Options":
        """Return the options with what a dialect wants where they leave it open: attention, sizes, axes, packing."""
        wanted = "" if dialect.attention == USUAL_ATTENTION else dialect.attention
        return replace(
            self,
            attention=self.attention or wanted,
            static=self.static or dialect.static,
            layout=self.layout or dialect.layout,
            rounding=dialect.rounding if self.quantize in INTEGERS else "",
            packing=self.packing or (dialect.packing if self.quantize else ""),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults as plain JSON values."""
        usual = asdict(Options())
        return {name: _plain(value) for name, value in asdict(self).items() if value != usual[name]}

    def words(self) -> list[str]:
        """Return the command line's words for what differs from the defaults; a target or dialect says ``static``."""
        return words(values_of(self, Place.MODEL))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Options":
        """Return the options that `to_json` told.

        Raises:
            UsageError: an option that there is not.
        """
        for name in values:
            check_known("option of a model", name, [item.name for item in fields(cls)])
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**given)


def changes(settings: Sequence[str]) -> dict[str, Any]:
    """Return changes of the form ``field=value`` as fields; a value is JSON, or else bare text.

    Raises:
        UsageError: a change without ``=`` or without a field.
    """
    return dict(map(_change, settings))


def changed(config: _Config, settings: Sequence[str], more: Mapping[str, Any] = MappingProxyType({})) -> _Config:
    """Return a configuration with the ``settings`` of a user and ``more`` fields on top.

    Raises:
        UsageError: a field that it does not have, or a value that no model can have.
    """
    asked = {**changes(settings), **more}
    for name in asked:
        check_known("field of the configuration for --set", name, sorted(config.to_json()))
    try:
        return config.from_json({**config.to_json(), **asked})
    except ConfigError as error:
        raise UsageError(f"{error}; --set {' --set '.join(settings)} makes it so") from error


def _check_storage(options: Options) -> None:
    """Refuse options of storage that do not go together."""
    if options.store and options.quantize:
        found = f"--store {options.store} beside --quantize {options.quantize}"
        raise UnusedOptionError(f"expected --store or --quantize, found {found}; leave one out", "store")
    check_neighbours(options.quantize, _neighbours(options))
    check_group(options.group_size)
    kept(options.keep)
    if options.keep_float32 and options.precision == "float32":
        raise UnusedOptionError(
            "expected --keep-float32 beside --precision float16 or bfloat16, found --precision float32, "
            "which keeps everything; leave --keep-float32 out",
            "keep_float32",
        )
    for kind in kinds_of(options.recipe):
        if INTEGERS[kind].activations != INTEGERS[options.quantize].activations:
            raise UsageError(
                f"expected kinds in --recipe that round what is multiplied as --quantize {options.quantize} does, "
                f"found {kind}"
            )
    if options.cache != "float32":
        _check_computed("cache", options.cache, "float32", options.precision)
    if options.store:
        _check_computed("store", options.store, SCHEMES[options.store].computed, options.precision)
    check_known("table of schemes", options.rounding, ROUNDINGS)
    if options.rounding:
        check_known(f"kind of quantisation for {options.rounding}", options.quantize, ROUNDINGS[options.rounding])
    if options.quantize:
        scheme = {**INTEGERS, **BLOCKS}[options.quantize]
        _check_computed("quantize", options.quantize, scheme.computed, options.precision)


def _neighbours(options: Options) -> dict[str, str]:
    """Return key -> the words of the options beside --quantize that are said."""
    keys = ("group_size", "symmetric", "method", "keep", "recipe")
    rows = {option.key: option for option in of_place(Place.MODEL) if option.key in keys}
    said = {key: words({key: getattr(options, key)}) for key in rows}
    return {key: " ".join(found) for key, found in said.items() if found}


def _check_computed(key: str, value: str, computed: str, precision: str) -> None:
    """Return if the precision is the one that a scheme of storage computes in."""
    if precision != computed:
        what = "the cache is" if key == "cache" else "weights are"
        raise UnusedOptionError(
            f"expected --precision {computed} with --{key} {value}, found --precision {precision}, "
            f"which already says what {what} stored as; leave --{key} out",
            key,
        )


def _change(text: str) -> tuple[str, Any]:
    name, separator, value = (part.strip() for part in text.partition("="))
    if not separator or not name:
        raise UsageError(f"expected a setting as field=value, found {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
