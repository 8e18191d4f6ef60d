"""The one verdict: passed, failed, or not judged; how several add up to one, and what a file is that was judged.

Three things that are never taken for each other. *Failed* means that something was compared and differs: a number, or a
digest. *Not judged* means that there was nothing to compare: no runtime, no file, a model that its runtime refuses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from lwmport import digest
from lwmport.types import Status

ORDER: Final = (Status.FAILED, Status.NOT_JUDGED, Status.PASSED)
"""The verdicts, the one that decides first."""

EXIT_CODES: Final[Mapping[Status, int]] = MappingProxyType(
    {Status.PASSED: 0, Status.FAILED: 1, Status.NOT_JUDGED: 3, Status.SKIPPED: 0}
)
"""Verdict -> exit code. A stage that was skipped is no verdict, and decides nothing."""


class Judged(Protocol):
    """A file as it was when it was judged."""

    @property
    def name(self) -> str:
        """Its name in its folder."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def sha256(self) -> str:
        """Its digest."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with an artifact besides its numbers, and the verdict that it makes of it."""

    status: Status
    reason: str


def combined(found: Iterable[Status]) -> Status:
    """Return failed if one failed, else not judged if one was not judged or there is none, else passed."""
    verdicts = set(found)
    return next((status for status in ORDER if status in verdicts), Status.NOT_JUDGED)


def exit_code(status: Status) -> int:
    """Return 0 for passed, 1 for failed, 3 for not judged."""
    return EXIT_CODES[status]


def file_faults(folder: Path, files: Iterable[Judged]) -> tuple[Fault, ...]:
    """Return what is wrong with files: one that is missing cannot be judged, one with another digest fails.

    Whoever runs a model with such a file, and finds that it does not run, has not judged it.
    """
    return tuple(fault for file in files if (fault := _fault(folder / file.name, file)))


@lru_cache(maxsize=32)
def _digest(path: Path, _size: int, _changed: int) -> str:
    """Return the digest of a file as it is now: one that several models share is read once."""
    return digest.of_file(path)


def _fault(path: Path, file: Judged) -> Fault | None:
    if not path.is_file():
        return Fault(status=Status.NOT_JUDGED, reason=f"{file.name}: expected a file of the artifact, found none")
    facts = path.stat()
    found = _digest(path, facts.st_size, facts.st_mtime_ns)
    if found == file.sha256:
        return None
    return Fault(
        status=Status.FAILED,
        reason=f"{file.name} is not the file that was converted: its digest differs, expected {file.bytes} bytes, "
        f"sha256 {file.sha256[:12]}, found {facts.st_size}, {found[:12]}",
    )
