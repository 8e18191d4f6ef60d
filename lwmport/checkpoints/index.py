"""A checkpoint is an index of its tensors; nothing of them is read before it is asked for."""

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lwmport import digest
from lwmport.checkpoints.calibrated import Rounder
from lwmport.checkpoints.cursor import opened
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.lazy.stored import lazy_of
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.choices import RANDOM
from lwmport.errors import CheckpointError
from lwmport.types import Array, WeightSpec
from lwmport.wording import few, shown


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """Which seed tensors were made of, and how many of those that were looked at."""

    seed: int
    tensors: int
    looked_at: int

    @property
    def whole(self) -> bool:
        """Whether all tensors that were looked at are random."""
        return self.tensors == self.looked_at

    @property
    def value(self) -> str:
        """What the weights are, as the value of a choice."""
        part = "" if self.whole else f"{self.tensors} of {self.looked_at} tensors "
        return f"{part}random (seed {self.seed}), not trained"

    @property
    def words(self) -> str:
        """What the weights are, in a sentence."""
        return f"random weights (seed {self.seed}), not trained" if self.whole else self.value


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found out when a checkpoint was indexed.

    Attributes:
        assumed: the fields of its configuration that nothing says: they have the format's own defaults.
        remarks: what was decided about tensors, files and keys, in words: nothing is left out in silence.
        seed: the seed that the files say they were made of; None where they say none.
    """

    assumed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    seed: int | None = None


class Checkpoint:
    """The tensors of one file or one folder, read one at a time (`lwmport.types.Weights`).

    Attributes:
        path: the file or the folder.
        format: its format, a name of `lwmport.checkpoints.opening.FORMATS`, `MODELS` or `FOLDERS`.
        entries: where each tensor lies, by name.
        config: the fields of the model's configuration that stand beside the tensors, by LWM's names; empty for a
            file, which has none.
        findings: what was found out when it was indexed.
        left_over: the tensors that a model has no use for, as far as it was fitted to one.
        random: which seed the tensors were made of, as far as somebody looked.
        rounder: what rounds them where that takes runs of the model.
    """

    rounder: Rounder | None = None

    def __init__(
        self,
        path: Path,
        format_name: str,
        entries: Mapping[str, TensorEntry],
        files: Mapping[str, os.stat_result],
        config: Mapping[str, Any] | None = None,
        findings: "Findings | None" = None,
    ) -> None:
        self.path = path
        self.findings = findings or Findings()
        self.random: Recognised | None = None
        self.left_over: tuple[str, ...] = ()
        self.format = format_name
        self.entries = MappingProxyType(dict(entries))
        self.config = MappingProxyType(dict(config or {}))
        self._specs = MappingProxyType({name: entry.spec for name, entry in entries.items()})
        self._states = {name: _state(status) for name, status in files.items()}

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Shape and dtype of every tensor."""
        return self._specs

    @property
    def total_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(spec.nbytes for spec in self.specs.values())

    @property
    def source(self) -> Mapping[str, Any]:
        """Which file or folder this is; without the folder it is in, which differs from machine to machine."""
        size, count = sum(size for size, _ in self._states.values()), len(self.specs)
        origin = f"{self.random.words}: " if self.random else ""
        said = "".join(f"; {remark}" for remark in self.findings.remarks)
        held = f"{self.path.name}: {self.format}, {count} tensors, {size:,} bytes"
        facts: dict[str, Any] = {
            "kind": "file",
            "description": f"{origin}{held}{self._unused()}{said}",
            "file": self.path.name,
            "format": self.format,
            "bytes": size,
            "tensors": count,
        }
        if self.random and self.random.whole:
            facts[RANDOM] = self.random.seed
        return {**facts, "left_over": [shown(name) for name in self.left_over]} if self.left_over else facts

    def _unused(self) -> str:
        """Return how many tensors are left over, in words that end a description."""
        if not self.left_over:
            return ""
        return f", of which {len(self.left_over)} are left over: {few(map(shown, self.left_over))}"

    def digest(self) -> str:
        """Return the SHA-256 of the file, which reads all of it, in pieces; of a folder, that of its files' digests."""
        if list(self._states) == [""]:
            return digest.of_file(self.path)
        return digest.of_json({name: digest.of_file(self.path / name) for name in self._states})

    def read(self, name: str) -> Array:
        """Return one tensor: C-contiguous, native byte order, read-only; mapped where the file holds it so.

        Raises:
            CheckpointError: no such tensor, or the file changed since it was opened.
        """
        return self.lazy(name).read()

    def pieces(self, name: str) -> Iterator[Array]:
        """Yield the values of one tensor in C order, as 1-D arrays of a few MiB.

        Raises:
            CheckpointError: no such tensor, or the file changed since it was opened.
        """
        return self.lazy(name).pieces()

    def lazy(self, name: str) -> Lazy:
        """Return one tensor as what can be read in parts.

        Raises:
            CheckpointError: no such tensor.
        """
        entry = self._entry(name)
        return lazy_of(entry, lambda: self._opened(entry.file, name))

    @contextlib.contextmanager
    def _opened(self, file: str, name: str) -> Iterator[int]:
        try:
            with opened(self.path / file) as cursor:
                self._check_unchanged(file, cursor.status())
                yield cursor.descriptor
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {shown(name)}: {error}") from error

    def check_name(self, name: str) -> None:
        """Return if there is a tensor of this name.

        Raises:
            CheckpointError: there is none; the message names the nearest.
        """
        if name in self.specs:
            return
        near = difflib.get_close_matches(name, self.specs, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise CheckpointError(f"{self.path}: expected one of {len(self.specs)} tensors, found {name!r}{hint}")

    def _entry(self, name: str) -> TensorEntry:
        self.check_name(name)
        return self.entries[name]

    def _check_unchanged(self, file: str, status: os.stat_result) -> None:
        """Refuse a file that changed: one that shrank would kill the process when its mapping is touched."""
        if _state(status) != self._states[file]:
            raise CheckpointError("the file changed since it was opened; open it again")


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
