"""A folder that holds a family's weights in several files and folders, as they are published, put together as one.

Each file is known by its tensors, whatever its name is; each folder by its ``config.json``. What belongs to nothing is
named and not read. Two that hold the same tensor are refused: nothing tells which is meant.
"""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.folders import LOOKED_AT, no_checkpoint
from lwmport.checkpoints.huggingface.folder import CONFIG, WEIGHTS, FolderIndex, family_of
from lwmport.checkpoints.huggingface.folder import index as index_folder
from lwmport.checkpoints.huggingface.left_out import listed
from lwmport.checkpoints.index import Findings
from lwmport.checkpoints.opening import open_file
from lwmport.checkpoints.released import renamed
from lwmport.checkpoints.tree import add
from lwmport.errors import CheckpointError
from lwmport.models.specs import FAMILIES
from lwmport.wording import few, shown


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One file or folder of it, by its name."""

    name: str
    family: str
    entries: dict[str, TensorEntry]
    files: dict[str, os.stat_result]
    remarks: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


def index(folder: Path, asked: str = "") -> FolderIndex:
    """Return the tensors of all files and folders in a folder that belong to one family, by its names.

    Args:
        folder: where they lie.
        asked: the family that is meant; empty for the one that they belong to.

    Raises:
        CheckpointError: none belongs to a family, or they belong to several; two hold the same tensor, or say different
            things of the configuration; or one that has the name of a published file cannot be read.
    """
    parts, others = _parts(folder, asked)
    if not parts and CONFIG in others:
        return index_folder(folder, asked)  # it is of another model, which its tensors then tell
    if not parts:
        raise no_checkpoint(folder)
    families = dict.fromkeys(part.family for part in parts)
    if len(families) > 1:
        raise CheckpointError(f"expected files of one model, found some of {few(families)}; name a component of one")
    entries: dict[str, TensorEntry] = {}
    owners: dict[str, str] = {}
    for part in parts:
        _check_apart(part, owners)
        for name, entry in part.entries.items():
            add(entries, name, entry)
    remarks = [f"{part.name}: {remark}" for part in parts for remark in part.remarks]
    unread = (f"not read: {listed(others)}",) if others else ()
    config = _config(parts)
    return FolderIndex(
        entries=entries,
        files={name: status for part in parts for name, status in part.files.items()},
        config=config,
        findings=Findings(assumed=_assumed(parts, config), remarks=(*remarks, *unread)),
    )


def _parts(folder: Path, asked: str) -> tuple[list[_Part], list[str]]:
    """Return the parts of a folder, and what else looks like weights, by name and with what it is."""
    found, others = [], [CONFIG] if (folder / CONFIG).exists() else []
    for path in _children(folder):
        if (path / CONFIG).is_file():
            part, name = _folder(path, asked), f"{path.name}/"
        elif path.suffix in WEIGHTS:
            part, name = _file_or_why(path, asked)
        else:
            continue
        if part is None:
            others.append(name)
        else:
            found.append(part)
    return found, others


def _file_or_why(path: Path, asked: str) -> tuple[_Part | None, str]:
    """Return a file if it is one of a family's, and what to call it: with why it cannot be read, if so.

    Raises:
        CheckpointError: it has the name of a published file and cannot be read.
    """
    try:
        return _file(path, asked), path.name
    except CheckpointError as error:
        if path.name in _published():
            raise CheckpointError(f"{path.name}: {error}") from error
        return None, f"{path.name} ({error})"


def _children(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for _, path in zip(range(LOOKED_AT), folder.iterdir(), strict=False)))


def _published() -> set[str]:
    """Return the names under which files are published."""
    known = (spec.released for spec in FAMILIES.values() if spec.released is not None)
    return {home for released in known for home in released.homes.values()}


def _folder(path: Path, asked: str) -> _Part | None:
    """Return a folder of Hugging Face whose family is asked for, or is published in parts."""
    family = family_of(path, asked)
    if not family or (FAMILIES[family].released is None and family != asked):
        return None
    try:
        found = index_folder(path, family)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error
    entries = {
        name: dataclasses.replace(entry, file=f"{path.name}/{entry.file}") for name, entry in found.entries.items()
    }
    return _Part(
        name=f"{path.name}/",
        family=family,
        entries=entries,
        files={f"{path.name}/{name}": status for name, status in found.files.items()},
        remarks=found.findings.remarks,
        config=found.config,
        assumed=found.findings.assumed,
    )


def _file(path: Path, asked: str) -> _Part | None:
    """Return a file that is one of a family's; None if it is one of another kind."""
    opened = open_file(path)
    found = renamed(opened.entries, asked)
    if found is None:
        return None
    entries = {name: dataclasses.replace(entry, file=path.name) for name, entry in found.entries.items()}
    remarks = (*opened.remarks, *found.remarks)
    return _Part(
        name=path.name, family=found.family, entries=entries, files={path.name: opened.status}, remarks=remarks
    )


def _check_apart(part: _Part, owners: dict[str, str]) -> None:
    twice = [name for name in part.entries if name in owners]
    if twice:
        raise CheckpointError(
            f"expected each tensor in one file, found {shown(twice[0])} in {shown(owners[twice[0]])} and in "
            f"{shown(part.name)}; move the one that is not meant out of the folder"
        )
    owners.update(dict.fromkeys(part.entries, part.name))


def _config(parts: list[_Part]) -> dict[str, Any]:
    """Return what the configurations of all folders say together; what one of them says counts before a default."""
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    for part in parts:
        for name, value in part.config.items():
            if name in part.assumed:
                found.setdefault(name, value)
                continue
            if name in said and found[name] != value:
                raise CheckpointError(
                    f"expected one {name}, found {found[name]} in {shown(said[name])} and {value} in "
                    f"{shown(part.name)}; are they of one model?"
                )
            found[name], said[name] = value, part.name
    return found


def _assumed(parts: list[_Part], config: dict[str, Any]) -> tuple[str, ...]:
    said = {name for part in parts for name in part.config if name not in part.assumed}
    return tuple(name for name in config if name not in said)
