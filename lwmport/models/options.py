"""What a user may choose about a model beside its configuration; nothing here changes what the model computes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final, Protocol, Self, TypeVar

from lwmport.errors import ConfigError, UsageError
from lwmport.models.llama.config import SAMPLE_MODES
from lwmport.models.storage import SCHEMES
from lwmport.registry import check_known

PRECISIONS: Final = ("float32", "float16", "bfloat16")
"""What an artifact may compute in, as far as its dialect goes (`lwmport.types.Dialect`)."""

ATTENTIONS: Final[Mapping[str, str]] = {"fused": "full", "loop": "loop", "unrolled": "unrolled"}
"""Form of attention as it is asked for -> that of the decomposition (`lwmport.models.attention.blocks`)."""

USUAL_ATTENTION: Final = "fused"
"""The form where nobody asks for another: it stays unsaid, in a manifest as on the command line."""


class Config(Protocol):
    """A configuration that `changed` takes."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration of a JSON object."""


_Config = TypeVar("_Config", bound=Config)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a component is cut out of its model.

    Attributes:
        settings: changes of the configuration, ``field=value`` each.
        precision: one of `PRECISIONS`: the dtype of weights and of what is computed with them.
        store: what weights are stored as, one of `lwmport.models.storage.SCHEMES`; empty for ``precision``.
        layer: which layer a single one is; None for the first.
        sample_mode: which heads a vision-language model gives; None leaves it to the configuration.
        attention: one of `ATTENTIONS`; empty for what the dialect prefers, which is fused where it says nothing.
        query_chunk: queries in a block; None leaves it to the configuration.
        key_chunk: keys in a block; None leaves it to the configuration.
        ring: ranks of an unrolled ring.
        sequence: tokens fed at once; None for any number, or for `lwmport.models.llama.factories.PREFILL` where static.
        max_length: tokens that a static cache holds; None for the configuration's longest sequence.
        static: no dynamic sizes: a language model becomes a prefill and a decode with a cache of fixed length.

    Raises:
        UsageError: a value that makes no sense.
    """

    settings: tuple[str, ...] = ()
    precision: str = "float32"
    store: str = ""
    layer: int | None = None
    sample_mode: str | None = None
    attention: str = ""
    query_chunk: int | None = None
    key_chunk: int | None = None
    ring: int = 1
    sequence: int | None = None
    max_length: int | None = None
    static: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_known("precision", self.precision, PRECISIONS)
        check_known("form of attention", self.attention or USUAL_ATTENTION, ATTENTIONS)
        if self.sample_mode is not None:
            check_known("sample mode", self.sample_mode, SAMPLE_MODES)
        if self.store:
            check_known("scheme of storage", self.store, SCHEMES)
            _check_computed(SCHEMES[self.store].computed, self)
        for name in ("query_chunk", "key_chunk", "ring", "sequence", "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"expected at least 1 as {name.replace('_', '-')}, found {value}")
        if self.ring > 1 and self.attention != "unrolled":
            found = self.attention or "none asked for"
            raise UsageError(f"expected --attention unrolled for a ring of {self.ring}, found {found}")

    def completed(self, attention: str, *, static: bool) -> "Options":
        """Return the options with what a dialect wants where they leave it open: its form of attention, its sizes."""
        wanted = "" if attention == USUAL_ATTENTION else attention
        return replace(self, attention=self.attention or wanted, static=self.static or static)

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults as plain JSON values."""
        usual = asdict(Options())
        return {name: _plain(value) for name, value in asdict(self).items() if value != usual[name]}

    def words(self) -> list[str]:
        """Return the command line's words for what differs from the defaults; a target or dialect says ``static``."""
        given = {name.replace("_", "-"): value for name, value in self.to_json().items() if name != "static"}
        pairs = [*(("set", text) for text in given.pop("settings", [])), *given.items()]
        return [word for name, value in pairs for word in (f"--{name}", str(value))]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Options":
        """Return the options that `to_json` told.

        Raises:
            UsageError: an option that there is not.
        """
        for name in values:
            check_known("option of a model", name, [field.name for field in fields(cls)])
        given: dict[str, Any] = {name: tuple(value) if name == "settings" else value for name, value in values.items()}
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


def _check_computed(computed: str, options: Options) -> None:
    """Return if the precision is the one that a scheme of storage computes in."""
    if options.precision != computed:
        raise UsageError(
            f"expected --precision {computed} with --store {options.store}, found --precision {options.precision}, "
            "which already says what weights are stored as; leave --store out"
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
