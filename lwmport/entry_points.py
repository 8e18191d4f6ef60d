"""A registry that packages of others add to: each names its record in an entry-point group of its own package."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final, Generic, TypeVar, cast

from lwmport.errors import PortError, one_line
from lwmport.registry import Registry, check_known

_Record = TypeVar("_Record")
_DO: Final = "change or uninstall that package"


@dataclass(frozen=True, kw_only=True)
class _Others(Generic[_Record]):
    """What packages of others have: the records by name, and what is wrong with the rest, a line each."""

    records: dict[str, _Record] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


class OpenRegistry(Mapping[str, _Record]):
    """Records of one type by name: those of a visible table of ours, then those of installed packages.

    A record of another package that cannot be loaded, or whose name is taken, is left out: `faults` says why, in one
    line, and whoever asks for it gets that line as a `PortError`. The other records stay usable.

    Args:
        kind: what one record is, for messages: ``target``.
        table: name -> ``"module:attribute"`` of ours.
        group: the entry-point group of other packages.
        check: called with a record of another package and those that are known already; raises a `PortError` if the
            record is none, or contradicts them.
    """

    def __init__(
        self, kind: str, table: Mapping[str, str], group: str, check: Callable[[Any, Mapping[str, Any]], None]
    ) -> None:
        self.kind = kind
        self.table = dict(table)
        self.group = group
        self._own = Registry(kind, table)
        self._check = check
        self._known: dict[tuple[str, ...], _Others[_Record]] = {}

    def __getitem__(self, name: str) -> _Record:
        if name in self.table:
            return cast("_Record", self._own[name])
        self.require(name)
        return self._others().records[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.table, *self._others().records))

    def __len__(self) -> int:
        return len(self.table) + len(self._others().records)

    def __contains__(self, name: object) -> bool:
        return name in self.table or name in self._others().records

    def require(self, name: str) -> None:
        """Return if there is a record of this name that can be used; nothing of ours is loaded.

        Raises:
            UsageError: there is none; the message lists what is, nearest first.
            PortError: another package has one that cannot be used.
        """
        if name in self._others().faults and name not in self.table:
            raise PortError(self._others().faults[name])
        check_known(self.kind, name, self)

    @property
    def faults(self) -> Mapping[str, str]:
        """Name of each record of another package that is left out -> why, in one line."""
        return self._others().faults

    def _others(self) -> _Others[_Record]:
        """Return what is installed, read once for each search path of Python."""
        path = tuple(sys.path)
        if path not in self._known:
            self._known[path] = self._read()
        return self._known[path]

    def _read(self) -> _Others[_Record]:
        found = _Others[_Record]()
        claims: dict[str, list[metadata.EntryPoint]] = {}
        for entry in metadata.entry_points(group=self.group):
            claims.setdefault(entry.name, []).append(entry)
        for name, entries in claims.items():
            try:
                found.records[name] = self._load(name, entries, found.records)
            except PortError as error:
                found.faults[name] = str(error)
        return found

    def _load(self, name: str, entries: list[metadata.EntryPoint], others: Mapping[str, _Record]) -> _Record:
        owners = [*([f"lwmport ({self.table[name]})"] if name in self.table else []), *map(_told, entries)]
        if len(owners) > 1:
            raise PortError(f"expected one {self.kind} of the name {name!r}, found {' and '.join(owners)}; {_DO}")
        try:
            record = entries[0].load()
        except Exception as error:  # code of others raises anything
            said = f"{type(error).__name__}: {one_line(error)}"
            raise PortError(f"expected the {self.kind} {name!r} of {owners[0]}, found {said}; {_DO}") from error
        if getattr(record, "name", None) != name:
            what = getattr(record, "name", type(record).__name__)
            raise PortError(
                f"expected the {self.kind} {name!r} of {owners[0]} to have that name, found {what!r}; {_DO}"
            )
        try:
            self._check(record, {**{own: self._own[own] for own in self.table}, **others})
        except PortError as error:
            raise PortError(f"the {self.kind} {name!r} of {owners[0]} cannot be used: {error}; {_DO}") from error
        return cast("_Record", record)


def _told(entry: metadata.EntryPoint) -> str:
    """Return the package and the place of an entry point."""
    package = entry.dist.name if entry.dist else "an unknown package"
    return f"{package} ({entry.value})"
