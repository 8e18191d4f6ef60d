"""What is done of a port, in a file beside its results."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport import atomic, plain
from lwmport.errors import ArtifactError
from lwmport.small_files import read_small
from lwmport.types import Status

NAME: Final = "port.json"
FORMAT: Final = "lwmport-port/3"

Facts = tuple[str, int, int]
"""A file below a port's folder: path, bytes, time of its last change in nanoseconds."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a port. ``files`` are what it wrote; ``tools`` are the vendor's programs that it found, by name.

    Without ``tools`` it was not for want of a program that it was skipped, if it was. ``peak_bytes`` is the largest
    resident memory of its process until it ended.
    """

    name: str
    status: Status
    reason: str
    seconds: float = 0.0
    peak_bytes: int = 0
    files: tuple[Facts, ...] = ()
    tools: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class _Entries:
    format: str
    request: str
    stages: tuple[Stage, ...] = ()


class Ledger:
    """What is done of a request, by stage; a ledger of another request counts for nothing.

    Args:
        folder: the folder of the port.
        request: what decides every result, as a digest.
        order: the names of the stages; those behind one that runs anew are void.
    """

    def __init__(self, folder: Path, request: str, order: Iterable[str]) -> None:
        self._folder, self._request, self._order = folder, request, tuple(order)
        self._entries: dict[str, Stage] = {}
        path = folder / NAME
        try:
            found = plain.decode(_Entries, plain.parsed(read_small(path)), str(path))
        except (OSError, ValueError, RecursionError, ArtifactError):
            return
        if (found.format, found.request) == (FORMAT, request):
            self._entries = {stage.name: stage for stage in found.stages}

    def done(self, name: str, tools: Mapping[str, str] | None) -> Stage | None:
        """Return a stage that need not be run again, for all that it wrote lies there untouched.

        It passed, or was skipped where the vendor's ``tools`` were the same as now: it would be again. What is skipped
        for another reason, such as too little memory, is tried again.
        """
        stage = self._entries.get(name)
        if stage is None or stage.status in {Status.FAILED, Status.NOT_JUDGED}:
            return None
        if stage.status is Status.SKIPPED and (tools is None or stage.tools != tools):
            return None
        untouched = all(state(self._folder / path) == (size, time) for path, size, time in stage.files)
        return stage if untouched else None

    def enter(self, stage: Stage) -> None:
        """Write a stage down; those behind it are void."""
        kept = self._order[: self._order.index(stage.name)]
        self._entries = {name: item for name, item in self._entries.items() if name in kept} | {stage.name: stage}
        self._write()

    def amend(self, name: str, paths: Iterable[Path]) -> None:
        """Note some files of a stage as they are now, for a later stage wrote them anew; no stage is void for it."""
        stage, now = self._entries[name], {fact[0]: fact for fact in facts(self._folder, paths)}
        self._entries[name] = replace(stage, files=tuple(now.get(fact[0], fact) for fact in stage.files))
        self._write()

    def _write(self) -> None:
        made = _Entries(format=FORMAT, request=self._request, stages=tuple(self._entries.values()))
        with atomic.new_file(self._folder / NAME) as file:
            file.write(json.dumps(plain.encode(made), indent=1, ensure_ascii=False).encode() + b"\n")


def facts(folder: Path, paths: Iterable[Path]) -> tuple[Facts, ...]:
    """Return what tells the files among some paths below a folder from other ones."""
    return tuple((path.relative_to(folder).as_posix(), *state(path)) for path in paths if path.is_file())


def state(path: Path) -> tuple[int, int]:
    """Return size and time of a file, and no such size where there is none."""
    try:
        status = path.stat()
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns
