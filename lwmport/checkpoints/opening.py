"""Any checkpoint is opened here: by LWM's prefix if it has one, else by what the file holds."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.checkpoints.cursor import Cursor, opened
from lwmport.checkpoints.detection import detect
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.folders import is_orbax, kind_of_folder
from lwmport.checkpoints.gguf import is_gguf
from lwmport.checkpoints.index import Checkpoint, Findings
from lwmport.checkpoints.released import renamed
from lwmport.checkpoints.tree import TrainStateError
from lwmport.errors import CheckpointError
from lwmport.instead import HEAD
from lwmport.models.specs import FAMILIES
from lwmport.registry import Registry, check_known

FORMATS: Final = Registry(
    "checkpoint format",
    {
        "pickle": "lwmport.checkpoints.pickle.index:index",
        "msgpack_stream": "lwmport.checkpoints.msgpack.stream:index",
        "flax_msgpack": "lwmport.checkpoints.msgpack.flax_tree:index",
        "safetensors": "lwmport.checkpoints.safetensors.index:index",
        "train_state": "lwmport.checkpoints.msgpack.stream:index_train_state",
        "flax_train_state": "lwmport.checkpoints.msgpack.flax_tree:index_train_state",
        "torch": "lwmport.checkpoints.torch.index:index",
        "torch_train_state": "lwmport.checkpoints.torch.index:index_train_state",
    },
)
"""Format -> what indexes it: ``index(cursor) -> entries``."""

MODELS: Final = Registry("file of a whole model", {"gguf": "lwmport.checkpoints.gguf_model:index"})
"""Format of a file that tells its configuration too -> what indexes it: ``index(path) -> FolderIndex``."""

TRAIN_STATES: Final = {
    "msgpack_stream": "train_state",
    "flax_msgpack": "flax_train_state",
    "torch": "torch_train_state",
}
"""Format -> that of its files that hold a train state, of which the parameters alone are read."""

REMARKS: Final = dict.fromkeys(TRAIN_STATES.values(), ("the state of the optimiser in it is left out",)) | {
    "torch_train_state": ("what stands beside the model in it is left out",)
}
"""Format -> what of a file is not read, in words."""

FOLDERS: Final = Registry(
    "folder of checkpoints",
    {
        "hf": "lwmport.checkpoints.huggingface.folder:index",
        "orbax": "lwmport.checkpoints.orbax:open_folder",
        "parts": "lwmport.checkpoints.parts:index",
    },
)
"""Format of a folder -> what indexes it: ``index(folder, family) -> FolderIndex``. An Orbax folder has no entries:
``open_folder(folder)`` returns the checkpoint itself."""

PREFIXES: Final = {
    "params": "msgpack_stream",
    "flax_params": "flax_msgpack",
    "trainstate_params": "train_state",
}
"""LWM's prefixes of a path (``params::PATH``) -> format."""


def open_checkpoint(text: str | Path, family: str = "") -> Checkpoint:
    """Return the index of a checkpoint; ``text`` is its path, with one of `PREFIXES` and ``::`` before it or without.

    A folder is one of Hugging Face (``config.json`` beside safetensors or ``.bin`` files), seen as the tree of its
    family, or one of Orbax, or one that holds the files in which a family is published. Where several families have
    such folders, it is that of ``family``. Of a train state the parameters are taken, and the description says so.
    Only the parts between tensors are read, so a file of many gigabytes opens at once.

    Raises:
        CheckpointError: missing, empty, damaged, hostile, or of a format that is not in `FORMATS`.
        UsageError: an unknown prefix.
    """
    path, wanted = _split(text)
    try:
        if path.is_dir():
            return _open_folder(path, wanted, family)
        _check_file(path)
        return _open_model(path, "gguf", wanted) if is_gguf(path) else _open_file(path, wanted, family)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class OpenedFile:
    """One file, its tensors by its own names.

    Attributes:
        format: a name of `FORMATS`.
        entries: where each tensor lies.
        status: size and times of the file.
        remarks: what of it is not read, in words.
    """

    format: str
    entries: dict[str, TensorEntry]
    status: os.stat_result
    remarks: tuple[str, ...] = ()


def open_file(path: Path, wanted: str = "") -> OpenedFile:
    """Return the index of one file, which must be of the format ``wanted`` if that is given.

    Raises:
        CheckpointError: as `open_checkpoint` does.
    """
    _check_file(path)
    with opened(path) as cursor:
        form, entries = _index(cursor, wanted)
        return OpenedFile(format=form, entries=entries, status=cursor.status(), remarks=REMARKS.get(form, ()))


def _open_file(path: Path, wanted: str, family: str) -> Checkpoint:
    """Return the index of one file, by the names of the family that it is published for, if it is for one."""
    file = open_file(path, wanted)
    found = renamed(file.entries, family)
    entries, remarks = (file.entries, ()) if found is None else (found.entries, found.remarks)
    findings = Findings(remarks=(*file.remarks, *remarks))
    return Checkpoint(path, file.format, entries, {"": file.status}, findings=findings)


def _split(text: str | Path) -> tuple[Path, str]:
    """Return the path and the format that its prefix asks for, empty if there is none."""
    prefix, separator, path = str(text).partition("::")
    if not separator or not prefix.isidentifier():
        return Path(text), ""
    check_known("checkpoint prefix", prefix, PREFIXES)
    return Path(path), PREFIXES[prefix]


def _check_file(path: Path) -> None:
    if not path.exists():
        raise CheckpointError("expected a checkpoint, found no such file")
    if not path.is_file():
        raise CheckpointError("expected a file, found a device or a pipe")


def _open_folder(path: Path, wanted: str, family: str) -> Checkpoint:
    if wanted:
        raise CheckpointError(f"expected {wanted} because of the prefix, found a folder; leave the prefix out")
    form = "parts" if _in_files_alone(family) and not is_orbax(path) else kind_of_folder(path)
    if form == "orbax":
        whole: Checkpoint = FOLDERS[form](path)
        return whole
    found = FOLDERS[form](path, family)
    if not found.entries:
        raise CheckpointError("expected tensors, found a folder whose files hold none")
    return Checkpoint(path, form, found.entries, found.files, found.config, found.findings)


def _in_files_alone(family: str) -> bool:
    """Return whether a family is published in files and has no folders: a ``config.json`` beside them is another's."""
    spec = FAMILIES[family] if family else None
    return spec is not None and spec.released is not None and not spec.all_folders


def _open_model(path: Path, form: str, wanted: str) -> Checkpoint:
    if wanted:
        raise CheckpointError(f"expected {wanted} because of the prefix, found {form}; leave the prefix out")
    found = MODELS[form](path)
    if not found.entries:
        raise CheckpointError(f"expected tensors, found a {form} file without any")
    return Checkpoint(path, form, found.entries, found.files, found.config, found.findings)


def _index(cursor: Cursor, wanted: str) -> tuple[str, dict[str, TensorEntry]]:
    form = _format(cursor, wanted)
    start = cursor.position
    try:
        entries: dict[str, TensorEntry] = FORMATS[form](cursor)
    except TrainStateError:
        form, cursor.position = TRAIN_STATES[form], start
        entries = FORMATS[form](cursor)
    if not entries:
        raise CheckpointError(f"expected tensors, found a {form} file without any")
    return form, entries


def _format(cursor: Cursor, wanted: str) -> str:
    if not cursor.left:
        raise CheckpointError("expected a checkpoint, found an empty file")
    head = cursor.window(0, min(HEAD, cursor.left)).take(min(HEAD, cursor.left))
    try:
        found = detect(head)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; expected {', '.join(FORMATS)}") from error
    if not wanted:
        return found
    if wanted == TRAIN_STATES["msgpack_stream"] and found in TRAIN_STATES:
        return TRAIN_STATES[found]
    if found != wanted:
        raise CheckpointError(f"expected {wanted} because of the prefix, found {found}; leave the prefix out")
    return wanted
