"""What other packages add by entry points. A broken package costs one line, and takes nothing of ours away."""

from collections.abc import Collection
from importlib import metadata
from typing import TypeVar

from lwmport.errors import one_line

_Record = TypeVar("_Record")


def find(group: str, kind: type[_Record], taken: Collection[str]) -> tuple[dict[str, _Record], dict[str, str]]:
    """Return the records that other packages offer in a group, by name, and in one line each why others are left out.

    An entry is left out if its name is in ``taken`` or another package has it, if it does not load, or if it is no
    ``kind``.
    """
    found: dict[str, _Record] = {}
    broken: dict[str, str] = {}
    for entry in metadata.entry_points(group=group):
        record, reason = _load(entry, kind, {*taken, *found})
        if record is None:
            broken[entry.name] = reason
        else:
            found[entry.name] = record
    return found, {name: reason for name, reason in broken.items() if name not in found}


def _load(entry: metadata.EntryPoint, kind: type[_Record], taken: Collection[str]) -> tuple[_Record | None, str]:
    whose = f"{entry.group} {entry.name!r} of the package {entry.dist.name if entry.dist else entry.value}"
    if entry.name in taken:
        return None, f"expected a name that is not taken for {whose}; it is left out, give it another name"
    try:
        found = entry.load()
    except Exception as error:  # noqa: BLE001 - a package of others may raise anything
        return None, f"{whose} does not load: {type(error).__name__}: {one_line(error)}"
    if not isinstance(found, kind):
        return None, f"expected a {kind.__name__} as {whose}, found {type(found).__name__} at {entry.value}"
    return found, ""
