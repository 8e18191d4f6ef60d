"""An Orbax folder: arrays in OCDBT or as zarr, read by tensorstore, each when it is asked for.

Both kinds of zarr are read. Source: orbax/checkpoint/_src/serialization, docs.orbax.dev, tensorstore's drivers.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import extras
from lwmport.checkpoints.entry import DTYPES, check_shape
from lwmport.checkpoints.index import Checkpoint, Findings
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.plain_json import read_object
from lwmport.checkpoints.tree import MAX_NAME, PARAMS, is_train_state
from lwmport.errors import CheckpointError, one_line
from lwmport.types import Array, WeightSpec
from lwmport.wording import few, shown

MANIFEST: Final = "manifest.ocdbt"
TREE: Final = "_METADATA"
HEADERS: Final = {".zarray": "zarr", "zarr.json": "zarr3"}
"""What describes an array -> tensorstore's driver for it."""

MAX_KEYS: Final = 2_000_000
"""Chunks and descriptions in one folder."""

CACHE: Final = 1 << 28
"""Bytes of decoded chunks that are kept: a chunk is decoded whole, and rows of one are read one after another."""

MAX_FILES: Final = 1_000_000


class OrbaxCheckpoint(Checkpoint):
    """The arrays of one folder (`lwmport.types.Weights`).

    Args:
        folder: where they lie.
        tensors: name -> array.
        files: every file of the folder, by its name there.
        note: what was left out, for the description; empty if nothing was.
    """

    def __init__(
        self, folder: Path, tensors: Mapping[str, Lazy], files: Mapping[str, os.stat_result], note: str
    ) -> None:
        super().__init__(folder, "orbax", {}, files, findings=Findings(remarks=(note,) if note else ()))
        self._tensors = dict(tensors)
        self._specs = {name: tensor.spec for name, tensor in tensors.items()}  # type: ignore[assignment]

    def lazy(self, name: str) -> Lazy:
        """Return one array as what can be read in parts.

        Raises:
            CheckpointError: no such array.
        """
        self.check_name(name)
        return self._tensors[name]


class _Stored(Lazy):
    """One array, opened when it is first read: a file of hundreds of tensors opens at once."""

    def __init__(self, place: "_Place", name: str, key: str, driver: str) -> None:
        self._place, self._name = place, name
        self._store = place.opened(key, driver, name)
        shape = check_shape(tuple(self._store.shape))
        dtype = self._store.dtype.numpy_dtype.name
        if dtype not in DTYPES:
            raise CheckpointError(f"{shown(name)}: expected numbers, found the dtype {shown(dtype)!r}")
        super().__init__(WeightSpec(shape=shape, dtype=dtype))
        self._chunk = int(self._store.chunk_layout.read_chunk.shape[0]) if shape else 1

    def step(self, nbytes: int) -> int:
        """Return how many rows take about ``nbytes``, in whole chunks, each of which is decoded once then."""
        return max(1, super().step(nbytes) // self._chunk) * self._chunk

    def rows(self, begin: int, end: int) -> Array:
        """Return rows; only the chunks that hold them are read."""
        part = self._store[begin:end] if self.spec.shape else self._store
        try:
            found = np.ascontiguousarray(part.read().result())
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{self._place.folder}: {shown(self._name)}: {one_line(error)[:300]}") from error
        return found.reshape((end - begin, *self.spec.shape[1:]))


class _Place:
    """A folder of arrays as tensorstore sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._tensorstore: Any = extras.require("tensorstore")
        self._context = self._tensorstore.Context({"cache_pool": {"total_bytes_limit": CACHE}})
        self._ocdbt = (folder / MANIFEST).exists()

    def kvstore(self, path: str) -> dict[str, Any]:
        """Return where the parts of an array lie."""
        base = {"driver": "file", "path": f"{self.folder}/"}
        return (
            {"driver": "ocdbt", "base": base, "path": path}
            if self._ocdbt
            else {**base, "path": f"{base['path']}{path}"}
        )

    def keys(self) -> list[str]:
        """Return the names of everything that is stored."""
        if not self._ocdbt:
            headers = (path for name in HEADERS for path in self.folder.rglob(name))
            return [path.relative_to(self.folder).as_posix() for path in headers]
        try:
            store = self._tensorstore.KvStore.open(self.kvstore(""), context=self._context).result()
            found: list[bytes] = store.list().result()
        except (ValueError, OSError) as error:
            raise CheckpointError(f"damaged: {one_line(error)[:300]}") from error
        if len(found) > MAX_KEYS:
            raise CheckpointError(f"expected at most {MAX_KEYS:,} parts of arrays, found {len(found):,}")
        return [key.decode("utf-8", "replace") for key in found]

    def opened(self, key: str, driver: str, name: str) -> Any:
        """Return one array, of which nothing but its description is read."""
        spec = {"driver": driver, "kvstore": self.kvstore(f"{key}/"), "recheck_cached_data": "open"}
        try:
            return self._tensorstore.open(spec, open=True, read=True, context=self._context).result()
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{shown(name)}: cannot be read: {one_line(error)[:300]}") from error


def open_folder(folder: Path) -> OrbaxCheckpoint:
    """Return the arrays of an Orbax folder; of a train state its parameters, and the rest is said to be left out.

    Raises:
        CheckpointError: there are no arrays, or they are damaged.
        MissingExtraError: tensorstore is not installed.
    """
    place = _Place(folder)
    found = {key.rpartition("/")[0]: HEADERS[key.rpartition("/")[2]] for key in sorted(place.keys()) if _described(key)}
    if not found:
        raise CheckpointError("expected arrays in an Orbax folder, found none; was it saved to its end?")
    paths = _paths(folder, found)
    kept, note = _parameters(paths)
    tensors = {name: _Stored(place, name, key, found[key]) for name, key in kept.items()}
    return OrbaxCheckpoint(folder, tensors, _files(folder), note)


def _described(key: str) -> bool:
    parent, _, last = key.rpartition("/")
    return bool(parent) and last in HEADERS and len(parent) <= MAX_NAME


def _paths(folder: Path, found: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Return the path of each array in the tree -> where it is stored.

    The tree is described beside the arrays; without that, the dots of a stored name divide it.
    """
    told = _tree(folder)
    named = {".".join(path): path for path in told}
    return {named.get(key, tuple(key.split("."))): key for key in found}


def _tree(folder: Path) -> list[tuple[str, ...]]:
    if not (folder / TREE).is_file():
        return []
    paths = []
    entries = read_object(folder / TREE).get("tree_metadata", {})
    for entry in entries.values() if isinstance(entries, dict) else ():
        keys = entry.get("key_metadata", []) if isinstance(entry, dict) else []
        paths.append(tuple(str(item.get("key")) for item in keys if isinstance(item, dict)))
    return paths


def _parameters(paths: Mapping[tuple[str, ...], str]) -> tuple[dict[str, str], str]:
    """Return name -> key of the parameters, and what was left out in words."""
    tops = dict.fromkeys(path[0] for path in paths)
    note = ""
    if is_train_state(tops):
        others = [top for top in tops if top != PARAMS]
        count = sum(path[0] != PARAMS for path in paths)
        note = f"{PARAMS} of a train state, without {count} tensors of {few(map(shown, others))}"
        paths = {path: key for path, key in paths.items() if path[0] == PARAMS}
    while all(len(path) > 1 and path[0] == PARAMS for path in paths):
        paths = {path[1:]: key for path, key in paths.items()}
    return {"/".join(path): key for path, key in paths.items()}, note


def _files(folder: Path) -> dict[str, os.stat_result]:
    """Return every file of a folder, by its name there: they are what its digest is made of."""
    found: dict[str, os.stat_result] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.stat()
        if len(found) > MAX_FILES:
            raise CheckpointError(f"expected at most {MAX_FILES:,} files in the folder, found more")
    return found
