"""What a user may name, and how: of each option its names, other words for them, and the one name that goes on.

Requests of the Python API, the command line and ``jobs.toml`` all come through here, so that artifacts, manifests and
reports hold one name for one thing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from lwmport.checkpoints.writers.write import WRITERS
from lwmport.converters import CONVERTERS
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import PortError
from lwmport.models.families import NAMES, config_aliases, config_name, config_names
from lwmport.options import DTYPES, OPTIONS
from lwmport.registry import NO_ALIASES, Aliases, meant
from lwmport.runtime.registry import RUNNERS
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.targets.registry import TARGETS

Fields = Mapping[str, Any]
"""What is known of a request so far, by the names of its fields."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The names that a field takes, other words for them, and what one of them is called in a message."""

    kind: str
    known: tuple[str, ...]
    aliases: Aliases = field(default_factory=lambda: NO_ALIASES)


CHECKPOINTS: Final[Aliases] = {
    "flax": ("flax_msgpack",),
    "huggingface": ("hf",),
    "hugging_face": ("hf",),
    "msgpack": ("msgpack_stream", "flax_msgpack"),
    "pkl": ("pickle",),
    "stream": ("msgpack_stream",),
    "transformers": ("hf",),
}
"""Other words for the formats of checkpoints."""

COMPUTED: Final = ("float32", "float16", "bfloat16", "mixed", "int8")
"""Precisions of models and of compilers; a target may know others."""


def _dialects(given: Fields) -> Words:
    form = given.get("format")
    if "target" in given:
        target = TARGETS[given["target"]]
        return Words(kind=f"dialect for {target.name}", known=target.dialects_of(form or next(iter(target.formats))))
    known = (dialect for dialect in (*DIALECTS.values(), *ALL_DIALECTS.values()) if form in (None, dialect.format))
    return Words(kind="dialect", known=tuple(dialect.name for dialect in known))


def _devices(given: Fields) -> Words:
    target = TARGETS[given["target"]]
    engines = target.engine_names(given.get("format") or next(iter(target.formats)))
    return Words(kind=f"device of {target.name}", known=engines or (*target.chips, *target.devices))


WORDS: Final[Mapping[str, Callable[[Fields], Words]]] = {
    "component": lambda _: Words(kind="component", known=tuple(NAMES)),
    "config": lambda given: Words(
        kind="configuration",
        known=config_names(given["component"]),
        aliases=config_aliases(given["component"]),
    ),
    "dialect": _dialects,
    "dtype": lambda _: Words(kind="dtype", known=COMPUTED[:3], aliases=DTYPES),
    "form": lambda _: Words(kind="checkpoint format", known=(*WRITERS, "hf"), aliases=CHECKPOINTS),
    "format": lambda _: Words(kind="format", known=tuple(CONVERTERS), aliases=CONVERTERS.aliases),
    "precision": lambda _: Words(kind="precision", known=COMPUTED, aliases=DTYPES),
    "runner": lambda _: Words(kind="runner", known=tuple(RUNNERS), aliases=RUNNERS.aliases),
    "soc": _devices,
    "target": lambda _: Words(kind="target", known=tuple(TARGETS), aliases=TARGETS.aliases),
}
"""Field of a request -> what it takes, given the other fields."""

ORDER: Final = ("component", "target", "format", *(name for name in WORDS if name not in {"component", "target"}))
"""What others depend on goes first."""


def words_of(name: str, given: Fields) -> Words | None:
    """Return what a field takes; None where anything may be written, or where it depends on what is not known."""
    choices = {option.name: option for option in OPTIONS if option.choices and option.name not in WORDS}
    if name in choices:
        option = choices[name]
        return Words(kind=option.what or option.key, known=option.choices, aliases=option.aliases)
    try:
        return WORDS[name]({key: value for key, value in given.items() if value}) if name in WORDS else None
    except (KeyError, PortError):
        return None


def one_name(name: str, text: str, given: Fields) -> str:
    """Return the one name that a text means as a field; an unknown one as it is, for those who know more to refuse.

    Raises:
        UsageError: the text may mean several.
    """
    found = words_of(name, given)
    if found is None:
        return text
    if name == "soc":
        return TARGETS[given["target"]].device_name(text)
    if name == "config":
        return config_name(given["component"], text)
    return meant(found.kind, text, found.known, found.aliases)


def named(given: Fields) -> dict[str, Any]:
    """Return fields of a request with the one name of everything that has one.

    Raises:
        UsageError: a text may mean several.
    """
    found = dict(given)
    for name in (*ORDER, *(name for name in given if name not in ORDER)):
        if isinstance(found.get(name), str) and found[name]:
            found[name] = one_name(name, found[name], found)
    return found


def settle(record: Any, **more: Any) -> None:
    """Give the fields of a frozen record the one name of everything that has one; ``more`` is known besides.

    Raises:
        UsageError: a text may mean several.
    """
    own = {item.name: getattr(record, item.name) for item in fields(record)}
    for name, value in named({**more, **own}).items():
        if name in own and value is not own[name]:
            object.__setattr__(record, name, value)
