"""A checkpoint is an index of its tensors; nothing of them is read before it is asked for."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lwmport import digest
from lwmport.checkpoints.cursor import opened
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.reading import read_tensor
from lwmport.checkpoints.wording import shown
from lwmport.errors import CheckpointError
from lwmport.types import Array, WeightSpec


class Checkpoint:
    """The tensors of one file, read one at a time (`lwmport.types.Weights`).

    Attributes:
        path: the file.
        format: its format, a name of `lwmport.checkpoints.opening.FORMATS`.
        entries: where each tensor lies, by name.
    """

    def __init__(
        self,
        path: Path,
        format_name: str,
        entries: Mapping[str, TensorEntry],
        status: os.stat_result,
    ) -> None:
        self.path = path
        self.format = format_name
        self.entries = MappingProxyType(dict(entries))
        self._specs = MappingProxyType({name: entry.spec for name, entry in entries.items()})
        self._state = _state(status)

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Shape and dtype of every tensor."""
        return self._specs

    @property
    def total_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(entry.nbytes for entry in self.entries.values())

    @property
    def source(self) -> Mapping[str, Any]:
        """Which file this is; without its folder, which differs from machine to machine."""
        size, count = self._state[0], len(self.entries)
        return {
            "kind": "file",
            "description": f"{self.path.name}: {self.format}, {count} tensors, {size:,} bytes",
            "file": self.path.name,
            "format": self.format,
            "bytes": size,
            "tensors": count,
        }

    def digest(self) -> str:
        """Return the SHA-256 of the file, which reads all of it, in pieces."""
        return digest.of_file(self.path)

    def read(self, name: str) -> Array:
        """Return one tensor, as `lwmport.checkpoints.reading.read_tensor` does.

        Raises:
            CheckpointError: no such tensor, or the file changed since it was opened.
        """
        entry = self._entry(name)
        try:
            with opened(self.path) as cursor:
                self._check_unchanged(cursor.status())
                return read_tensor(entry, cursor.descriptor)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {shown(name)}: {error}") from error

    def _entry(self, name: str) -> TensorEntry:
        if name in self.entries:
            return self.entries[name]
        near = difflib.get_close_matches(name, self.entries, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise CheckpointError(f"{self.path}: expected one of {len(self.entries)} tensors, found {name!r}{hint}")

    def _check_unchanged(self, status: os.stat_result) -> None:
        """Refuse a file that changed: one that shrank would kill the process when its mapping is touched."""
        if _state(status) != self._state:
            raise CheckpointError("the file changed since it was opened; open it again")


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
