"""A registry that packages of others add to: each names its record in an entry-point group of its own package.

A record that cannot be used costs one line, and takes nothing of ours away.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final, Generic, TypeVar, cast

from lwmport.errors import PortError, said
from lwmport.registry import Aliases, check_known, load, meant

_Record = TypeVar("_Record")
_DO: Final = "change or uninstall that package"


@dataclass(frozen=True, kw_only=True)
class _Others(Generic[_Record]):
    """What packages of others have: records and who brings them, and what is wrong with the rest, a line each."""

    records: dict[str, _Record] = field(default_factory=dict)
    providers: dict[str, metadata.Distribution | None] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


class OpenRegistry(Mapping[str, _Record]):
    """Records of one type by name: those of a visible table of ours, then those of installed packages.

    A record of another package that cannot be loaded, that is of another type or of another name than its entry point,
    whose name is taken, or that ``check`` refuses, is left out: `faults` says why, in one line, and whoever asks for it
    gets that line as a `PortError`. The other records stay usable.

    Args:
        kind: what one record is, for messages: ``target``.
        table: name -> record of ours, or where it is: ``"module:attribute"``, imported when it is asked for.
        group: the entry-point group of other packages.
        record: the type of a record, which has a ``name``, and ``aliases`` where there are other words for it.
        check: called with a record of another package and those that are known already; raises a `PortError` if it
            contradicts itself or them.
    """

    def __init__(
        self,
        *,
        kind: str,
        table: Mapping[str, _Record | str],
        group: str,
        record: type[_Record],
        check: Callable[[_Record, Mapping[str, _Record]], None] = lambda *_: None,
    ) -> None:
        self.kind = kind
        self.table = table
        self.group = group
        self._record = record
        self._check = check
        self._read: dict[tuple[str, ...], _Others[_Record]] = {}

    def __getitem__(self, name: str) -> _Record:
        if name in self.table:
            return self._own(name)
        self.require(name)
        return self.others[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.table, *self.others))

    def __len__(self) -> int:
        return len(self.table) + len(self.others)

    def __contains__(self, name: object) -> bool:
        return name in self.table or name in self.others

    def require(self, name: str) -> None:
        """Return if there is a record of this name that can be used; nothing of ours is loaded.

        Raises:
            UsageError: there is none; the message lists what is, nearest first.
            PortError: another package has one that cannot be used.
        """
        if name not in self.table and name in self.faults:
            raise PortError(self.faults[name])
        check_known(self.kind, name, self, {} if name in self else self.aliases)

    def name_of(self, text: str) -> str:
        """Return the name of the record that a text means (`lwmport.registry.meant`); an unknown one as it is.

        Raises:
            UsageError: the text may mean several.
        """
        return text if text in self.table else meant(self.kind, text, self, self.aliases)

    @property
    def aliases(self) -> Aliases:
        """Another word -> the names of the records that say it of themselves."""
        found: dict[str, tuple[str, ...]] = {}
        for name, record in self.items():
            for word in getattr(record, "aliases", ()):
                found[word] = (*found.get(word, ()), name)
        return found

    @property
    def ours(self) -> dict[str, _Record]:
        """Our own records by name, all of them loaded."""
        return {name: self._own(name) for name in self.table}

    @property
    def others(self) -> Mapping[str, _Record]:
        """The records of other packages by name, in a fixed order."""
        return self._installed().records

    @property
    def faults(self) -> Mapping[str, str]:
        """Name of each record of another package that is left out -> why, in one line."""
        return self._installed().faults

    def provider(self, name: str) -> metadata.Distribution | None:
        """Return the installed package that brings a record; None for one of ours."""
        return None if name in self.table else self._installed().providers.get(name)

    def _own(self, name: str) -> _Record:
        found = self.table[name]
        return cast("_Record", load(found) if isinstance(found, str) else found)

    def _installed(self) -> _Others[_Record]:
        """Return what is installed, read once for each search path of Python."""
        path = tuple(sys.path)
        if path not in self._read:
            self._read[path] = self._found()
        return self._read[path]

    def _found(self) -> _Others[_Record]:
        found = _Others[_Record]()
        for name, entries in self._claims().items():
            try:
                found.records[name] = self._loaded(name, entries, found.records)
                found.providers[name] = entries[0].dist
            except PortError as error:
                found.faults[name] = str(error)
        return found

    def _claims(self) -> dict[str, list[metadata.EntryPoint]]:
        """Return name -> the entry points of that name, in an order that no installer decides."""
        claims: dict[str, list[metadata.EntryPoint]] = {}
        for entry in sorted(metadata.entry_points(group=self.group), key=lambda one: (_owner(one), one.name)):
            claims.setdefault(entry.name, []).append(entry)
        return claims

    def _loaded(self, name: str, entries: list[metadata.EntryPoint], others: Mapping[str, _Record]) -> _Record:
        owners = [*(["lwmport"] if name in self.table else []), *map(_owner, entries)]
        if len(owners) > 1:
            raise PortError(f"expected one {self.kind} of the name {name!r}, found {' and '.join(owners)}; {_DO}")
        whose = f"the {self.kind} {name!r} of {owners[0]}"
        try:
            record = entries[0].load()
        except (Exception, SystemExit) as error:  # code of others raises anything
            raise PortError(f"expected {whose}, found {said(error)}; {_DO}") from error
        if not isinstance(record, self._record):
            wanted, found = self._record.__name__, type(record).__name__
            raise PortError(f"expected {whose} to be a {wanted}, found {found}; {_DO}")
        called = cast("Any", record).name
        if called != name:
            raise PortError(f"expected {whose} to have that name, found {called!r}; {_DO}")
        try:
            self._check(record, {**self.ours, **others})
        except Exception as error:  # it looks into a record that may hold anything
            raise PortError(f"{whose} cannot be used: {said(error)}; {_DO}") from error
        return record


def _owner(entry: metadata.EntryPoint) -> str:
    """Return the package and the place of an entry point."""
    package = entry.dist.name if entry.dist else "an unknown package"
    return f"{package} ({entry.value})"
