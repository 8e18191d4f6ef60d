"""Writes a folder of safetensors files with Hugging Face's index, each tensor streamed: none is ever held whole.

One file is ``model.safetensors``. Several are ``model-00001-of-00003.safetensors`` and so on, beside an index that
tells which tensor is in which, as ``save_pretrained`` writes them.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from lwmport.checkpoints.writers.base import Progress, silent
from lwmport.checkpoints.writers.safetensors import data_order, header_of
from lwmport.errors import CheckpointError
from lwmport.journal import new_stream
from lwmport.types import Array, WeightSpec

SHARD_BYTES: Final = 4_000_000_000
"""Bytes of tensors in one file: what fits a FAT disk and one download, and about what others write."""

INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
METADATA: Final[Mapping[str, str]] = {"format": "pt"}
"""What transformers looks for in the header: the tensors are laid out as PyTorch lays them out."""

Pieces: TypeAlias = Callable[[], Iterable[Array]]
"""Returns the values of a tensor from its first to its last, as contiguous arrays of its dtype, each let go after."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One tensor to write: its name in the file, its shape and dtype, and what yields its values."""

    name: str
    spec: WeightSpec
    pieces: Pieces


def write_sharded(
    items: Sequence[Item],
    folder: Path,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
    single: str = SINGLE,
) -> dict[Path, str]:
    """Write the tensors into ``folder``, which must exist; their order is kept across files.

    The caller makes the folder appear whole (`lwmport.atomic.new_folder`). A tensor above ``shard_bytes`` has a file
    of its own. ``single`` is what the file is called where there is one alone. ``progress`` is called with the name of
    a tensor and the bytes of all tensors so far. What an interrupted run has written is not written again
    (`lwmport.journal`).

    Returns:
        every file and its SHA-256.

    Raises:
        CheckpointError: no items, two of one name, a dtype that safetensors lacks, or pieces that do not add up.
        PortError: the files cannot be written.
    """
    _check(items, shard_bytes)
    shards = _shards(items, shard_bytes)
    names = _file_names(len(shards), single)
    written, found = _Written(progress or silent), {}
    for name, shard in zip(names, shards, strict=True):
        found[folder / name] = _write_shard(folder / name, shard, written)
    return found if len(found) == 1 else {**found, **_write_index(folder, names, shards)}


def _check(items: Sequence[Item], shard_bytes: int) -> None:
    if not items:
        raise CheckpointError("expected tensors to write, found none")
    if shard_bytes < 1:
        raise CheckpointError(f"expected at least 1 byte a file, found {shard_bytes}")
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise CheckpointError(f"expected each name once, found two tensors named {item.name!r}")
        seen.add(item.name)


def _shards(items: Sequence[Item], shard_bytes: int) -> list[list[Item]]:
    """Fill one file after another, in the order given."""
    shards: list[list[Item]] = [[]]
    held = 0
    for item in items:
        if shards[-1] and held + item.spec.nbytes > shard_bytes:
            shards.append([])
            held = 0
        shards[-1].append(item)
        held += item.spec.nbytes
    return shards


def _file_names(count: int, single: str) -> list[str]:
    if count == 1:
        return [single]
    return [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]


def _write_shard(path: Path, shard: list[Item], written: "_Written") -> str:
    by_name = {item.name: item for item in shard}
    specs = {item.name: item.spec for item in shard}
    order = data_order(specs)
    header = header_of(specs, order, METADATA)
    with new_stream(path, header.decode("latin-1")) as file:
        file.write(header)
        for name in order:
            if file.skips(specs[name].nbytes):
                written.add(name, specs[name].nbytes)
                continue
            for piece in checked_pieces(name, specs[name], by_name[name].pieces()):
                file.write(piece)
                written.add(name, len(piece))
            file.mark()
    return file.sha256


class _Written:
    """Counts the bytes of tensors over all files."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0

    def add(self, name: str, count: int) -> None:
        self._done += count
        self._progress(name, self._done)


def checked_pieces(name: str, spec: WeightSpec, pieces: Iterable[Array]) -> Iterator[memoryview]:
    """Yield the bytes of the pieces of a tensor, little-endian.

    Raises:
        CheckpointError: they are of another dtype, or more or fewer than the tensor has.
    """
    found = 0
    for piece in pieces:
        if piece.dtype.name != spec.dtype:
            raise CheckpointError(f"{name}: expected {spec.dtype}, found {piece.dtype.name} when reading it")
        little = piece.astype(piece.dtype.newbyteorder("<"), order="C", copy=False)
        found += little.nbytes
        if little.nbytes:
            # Viewed as bytes because bfloat16 has no buffer format of its own.
            yield little.reshape(-1).view(np.uint8).data
    if found != spec.nbytes:
        raise CheckpointError(f"{name}: expected {spec.nbytes} bytes, found {found} when reading it")


def _write_index(folder: Path, names: list[str], shards: list[list[Item]]) -> dict[Path, str]:
    weight_map = {item.name: name for name, shard in zip(names, shards, strict=True) for item in shard}
    total = sum(item.spec.nbytes for shard in shards for item in shard)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    text = json.dumps(index, indent=2) + "\n"
    (folder / INDEX).write_text(text, encoding="utf-8")
    return {folder / INDEX: hashlib.sha256(text.encode()).hexdigest()}
