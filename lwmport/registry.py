"""Registries are visible tables of ``name -> "module:attribute"``, loaded on first use."""

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lwmport import extras
from lwmport.errors import PortError, UsageError, said


class Registry(Mapping[str, Any]):
    """A table of lazily imported things, for example ``{"onnx": "lwmport.converters.onnx:convert"}``.

    ``registry["onnx"]`` imports the module and returns the attribute; an unknown name is a `UsageError`
    with the nearest known names, and an entry that cannot be imported is a `PortError`: a `MissingExtraError` if an
    optional module is not installed.
    """

    def __init__(self, kind: str, table: Mapping[str, str]) -> None:
        self.kind = kind
        self._table = dict(table)

    def __getitem__(self, name: str) -> Any:
        check_known(self.kind, name, self._table)
        return load(self._table[name], f"the {self.kind} {name!r}")

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


def check_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Return if the name is known.

    Raises:
        UsageError: it is not; the message lists what is, nearest first.
    """
    names = list(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"expected a {kind} out of {', '.join(names)}, found {name!r}{hint}")
