"""Registries are visible tables of ``name -> "module:attribute"``, loaded on first use."""

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from lwmport import extras
from lwmport.errors import PortError, UsageError, said
from lwmport.wording import few

Aliases: TypeAlias = Mapping[str, tuple[str, ...]]
"""Another word for something -> the names that it may mean."""

NO_ALIASES: Final[Aliases] = MappingProxyType({})

NEAR: Final = 0.6
"""How much of two words is the same from which one is a suggestion for the other (`difflib`'s own value)."""


class Registry(Mapping[str, Any]):
    """A table of lazily imported things, for example ``{"onnx": "lwmport.converters.onnx:convert"}``.

    ``registry["onnx"]`` imports the module and returns the attribute; an unknown name is a `UsageError`
    with the nearest known names, and an entry that cannot be imported is a `PortError`: a `MissingExtraError` if an
    optional module is not installed. ``aliases`` are other words for its names.
    """

    def __init__(self, kind: str, table: Mapping[str, str], aliases: Aliases = NO_ALIASES) -> None:
        self.kind = kind
        self.aliases = aliases
        self._table = dict(table)

    def __getitem__(self, name: str) -> Any:
        check_known(self.kind, name, self._table, self.aliases)
        return load(self._table[name], f"the {self.kind} {name!r}")

    def name_of(self, text: str) -> str:
        """Return the name that a text means (`meant`); an unknown one as it is.

        Raises:
            UsageError: the text may mean several.
        """
        return meant(self.kind, text, self._table, self.aliases)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, name: object) -> bool:
        return name in self._table


def load(reference: str, whose: str = "") -> Any:
    """Return what ``"module:attribute"`` refers to; ``whose`` says in an error which record has the reference.

    Raises:
        MissingExtraError: the module needs an optional one that is not installed.
        PortError: the module cannot be imported, or it has no such attribute.
    """
    module, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # code of others raises anything
        found = extras.missing(error) if isinstance(error, ModuleNotFoundError) else error
        if isinstance(found, PortError):
            raise found from found.__cause__ or error
        of = f" of {whose}" if whose else ""
        raise PortError(f"expected {reference!r}{of} to lead to something, found {said(error)}") from error


def meant(kind: str, text: str, known: Iterable[str], aliases: Aliases = NO_ALIASES) -> str:
    """Return the name that a text means: itself, another spelling of it, or what it is another word for.

    Case does not matter, nor whether ``-`` or ``_`` is between words. A text that means nothing comes back as it is.

    Raises:
        UsageError: the text is another word for several names; the message lists them.
    """
    names = list(known)
    if text in names:
        return text
    spelled = [name for name in names if _folded(name) == _folded(text)]
    others = {name for word, found in aliases.items() if _folded(word) == _folded(text) for name in found}
    found = spelled or [name for name in names if name in others]
    if len(found) > 1 and not spelled:
        raise UsageError(f"expected one {kind}, found {text!r}, which may mean {' or '.join(found)}; name one of them")
    return found[0] if len(found) == 1 else text


def check_known(kind: str, name: str, known: Iterable[str], aliases: Aliases = NO_ALIASES) -> None:
    """Return if the name is known.

    Raises:
        UsageError: it is not; the message lists what is, nearest first.
    """
    names = list(known)
    if name in names:
        return
    raise UsageError(f"expected a {kind} out of {unknown(name, names, aliases)}")


def unknown(name: str, known: Iterable[str], aliases: Aliases = NO_ALIASES) -> str:
    """Return the end of a message on an unknown name: what is known, nearest first, what was found, what is nearest."""
    names = list(known)
    near = nearest(name, names, aliases)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{few([*near, *(other for other in names if other not in near)])}, found {name!r}{hint}"


def nearest(name: str, known: Iterable[str], aliases: Aliases = NO_ALIASES) -> list[str]:
    """Return the names that somebody may have meant who wrote this one, the nearest first.

    A name that begins with what was written is nearer than one that only looks like it.
    """
    words = [(other, other) for other in known]
    words += [(word, other) for word, found in aliases.items() for other in found]
    scored: dict[str, float] = {}
    for word, other in words:
        scored[other] = max(scored.get(other, 0.0), _likeness(_folded(name), _folded(word)))
    return sorted((other for other, score in scored.items() if score >= NEAR), key=lambda other: -scored[other])


def _likeness(one: str, other: str) -> float:
    """Return how near a word is to what was written, from 0 to 2: 1 and more where it holds all of it."""
    ratio = difflib.SequenceMatcher(None, other, one).ratio()
    begun = len(one) > 1 and other.startswith(one)
    within = len(one) > 2 and one in other
    return ratio + (1.0 if begun else 0.5 if within else 0.0)


def _folded(text: str) -> str:
    return text.casefold().replace("_", "-")
