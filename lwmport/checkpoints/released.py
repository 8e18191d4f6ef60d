"""The files that the makers of a family publish, as the family's own tree: the same bytes under our names and axes."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.cursor import Cursor, opened
from lwmport.checkpoints.detection import detect
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.huggingface.folder import CONFIG, INDEX, FolderIndex, listed_files
from lwmport.checkpoints.index import Findings
from lwmport.checkpoints.plain_json import read_object
from lwmport.checkpoints.safetensors import index as safetensors_index
from lwmport.checkpoints.torch import index as torch_index
from lwmport.checkpoints.tree import add
from lwmport.errors import CheckpointError
from lwmport.instead import HEAD
from lwmport.models.released_files import ReleasedFiles
from lwmport.models.spec import FamilySpec

READERS: Final = {"safetensors": safetensors_index.index, "torch": torch_index.index}
"""Format of a file of a folder -> what indexes it."""

ENDS: Final = (".pth", ".pt", ".bin", ".safetensors")
"""How files of weights end; what is no weight beside them ends otherwise."""

WHOLES: Final = ("model.safetensors", "pytorch_model.bin")
MOST: Final = 1000
"""Files of weights in a folder."""


def renamed(entries: Mapping[str, TensorEntry], released: ReleasedFiles | None) -> dict[str, TensorEntry]:
    """Return tensors under the names and with the axes of a family; what it does not know keeps its name.

    Raises:
        CheckpointError: two tensors have one name here.
    """
    found: dict[str, TensorEntry] = {}
    for name, entry in entries.items():
        own = None if released is None else released.named(name, len(entry.shape))
        if own is None:
            add(found, name, entry)
        else:
            add(found, own.name, _turned(entry, own.axes))
    return found


def index_folder(folder: Path, spec: FamilySpec, released: ReleasedFiles) -> FolderIndex:
    """Return the tensors of all files of a folder by the names of a family, and what its ``config.json`` tells.

    Raises:
        CheckpointError: no file of weights, one that is damaged or hostile, or a tensor that two files hold.
    """
    entries: dict[str, TensorEntry] = {}
    states: dict[str, os.stat_result] = {}
    for file in _files(folder):
        found, states[file] = _indexed(folder / file)
        for name, entry in renamed(found, released).items():
            if name in entries:
                both = f"{entries[name].file} and {file}"
                raise CheckpointError(f"expected one file with {name}, found {both}; keep one of them in the folder")
            add(entries, name, dataclasses.replace(entry, file=file))
    if not entries:
        raise CheckpointError(f"expected files of {spec.name} that end in {', '.join(ENDS)}, found none with tensors")
    config: Mapping[str, Any] = {}
    assumed: tuple[str, ...] = ()
    if (folder / CONFIG).exists() and released.configured is not None:
        states[CONFIG] = (folder / CONFIG).stat()
        config, assumed = released.configured(read_object(folder / CONFIG))
    return FolderIndex(entries=entries, files=states, config=dict(config), findings=Findings(assumed=assumed))


def _turned(entry: TensorEntry, axes: tuple[int, ...]) -> TensorEntry:
    if not axes:
        return entry
    shape = tuple(entry.shape[axis] for axis in axes)
    return dataclasses.replace(entry, shape=shape, view=entry.shape, axes=axes)


def _files(folder: Path) -> list[str]:
    """Return the files of weights: those of an index where there is one, with what lies beside them."""
    for whole in WHOLES:
        if (folder / f"{whole}{INDEX}").exists() and not (folder / whole).exists():
            others = [name for name in _weights(folder) if not name.startswith(Path(whole).stem)]
            return sorted({*listed_files(folder, whole), *others})
    return _weights(folder)


def _weights(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.suffix in ENDS)
    if len(names) > MOST:
        raise CheckpointError(f"expected at most {MOST:,} files of weights, found {len(names):,}")
    if WHOLES[0] in names:  # the same weights once more, as transformers reads them
        names = [name for name in names if name != WHOLES[1]]
    return names


def _indexed(path: Path) -> tuple[dict[str, TensorEntry], os.stat_result]:
    if not path.is_file():
        raise CheckpointError(f"{path.name}: expected a file, found none, or no file")
    try:
        with opened(path) as cursor:
            form = detect(cursor.window(0, min(HEAD, cursor.left)).take(min(HEAD, cursor.left)))
            return _reader(form)(cursor), cursor.status()
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error


def _reader(form: str) -> Callable[[Cursor], dict[str, TensorEntry]]:
    if form not in READERS:
        raise CheckpointError(f"expected a file of torch.save or safetensors, found {form}")
    return READERS[form]


def homes(released: ReleasedFiles, missing: Iterator[str]) -> str:
    """Return which published files hold tensors that are missing, as the end of a message."""
    found = sorted(
        {(start, file) for name in missing for start, file in released.homes.items() if name.startswith(start)}
    )
    return "".join(f"; {start.rstrip('/')} is in {file}" for start, file in found)
