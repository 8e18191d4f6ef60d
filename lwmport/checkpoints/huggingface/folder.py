"""A Hugging Face folder as a family's own tree: the same bytes, found by its names and seen in its layouts."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.cursor import Cursor, opened
from lwmport.checkpoints.detection import check_whole
from lwmport.checkpoints.entry import MAX_TENSORS, TensorEntry
from lwmport.checkpoints.huggingface.left_out import check_left_out, listed, settle_tied
from lwmport.checkpoints.huggingface.marker import seed_of
from lwmport.checkpoints.huggingface.rows import divided
from lwmport.checkpoints.index import Checkpoint, Findings
from lwmport.checkpoints.plain_json import read_object
from lwmport.checkpoints.released import seen_as
from lwmport.checkpoints.safetensors import index as safetensors_index
from lwmport.checkpoints.torch import index as torch_index
from lwmport.checkpoints.tree import add
from lwmport.errors import CheckpointError
from lwmport.instead import HEAD
from lwmport.models import specs
from lwmport.models.huggingface import HfConfig, HfFolder
from lwmport.models.spec import FamilySpec
from lwmport.wording import few, shown

CONFIG: Final = "config.json"
INDEX: Final = ".index.json"
WEIGHTS: Final = frozenset([".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".npz", ".ckpt"])
"""How the names of files end that may hold weights."""

KINDS: Final[Mapping[str, Callable[[Cursor], dict[str, TensorEntry]]]] = {
    "model.safetensors": safetensors_index.index,
    "pytorch_model.bin": torch_index.index,
}
"""The file of a whole model -> what indexes it and its like; with `INDEX` after it, the list of several files."""

Files = dict[str, os.stat_result]


@dataclass(frozen=True, kw_only=True)
class FolderIndex:
    """What a folder holds.

    Attributes:
        entries: the tensors, by the family's names.
        files: the files that are read.
        config: the configuration with the family's field names.
        findings: what was found out on the way.
    """

    entries: dict[str, TensorEntry]
    files: Files
    config: dict[str, Any]
    findings: Findings


def index(folder: Path, asked: str = "") -> FolderIndex:
    """Return the tensors of a folder by its family's names, its files, and its configuration with its field names.

    A tensor that the family does not have keeps its name, unless the family is strict. A tied tensor that the folder
    holds all the same is compared with its table, a piece of both at a time, and used where it differs.

    Args:
        folder: where they lie.
        asked: the family that is meant where several have the architecture.

    Raises:
        CheckpointError: no folder of a known family, a file that is missing, damaged, hostile or outside the folder, or
            a model that the family does not compute.
    """
    fields = _named(CONFIG, lambda: read_object(folder / CONFIG))
    spec, family, told = _named(CONFIG, lambda: _read(fields, asked))
    config = told.fields
    found, states = in_files(folder, others=family.files)
    elsewhere = [name for name in found if family.elsewhere(name)]
    found = {name: entry for name, entry in found.items() if not family.elsewhere(name)}
    raw = Checkpoint(folder, "hf", found, states)
    remarks = (*settle_tied(raw, family, config), *check_left_out(raw, family, config), *_of_other_parts(elsewhere))
    renamed = _renamed(found, family, config, strict=spec.strict)
    others = (*_keys(told.unused), *_other_files(folder, states))
    return FolderIndex(
        entries=divided(renamed, family.rows(config)),
        files=states,
        config=config,
        findings=Findings(assumed=told.assumed, remarks=(*remarks, *others), seed=seed_of(fields)),
    )


def _of_other_parts(names: list[str]) -> tuple[str, ...]:
    """Return that tensors of another part of the model are not read, in words."""
    return (f"{len(names)} tensors are of other parts of the model: {listed(names)}",) if names else ()


def in_files(
    folder: Path,
    kinds: Mapping[str, Callable[[Cursor], dict[str, TensorEntry]]] = KINDS,
    config: str = CONFIG,
    others: tuple[str, ...] = (),
) -> tuple[dict[str, TensorEntry], Files]:
    """Return the tensors of a folder by the names that its files give them, and the files, the configuration first.

    ``others`` are files that are read where there is none of the usual name.

    Raises:
        CheckpointError: a file that is missing, damaged, hostile or outside the folder.
    """
    whole, files = _files(folder, kinds, config, others)
    found: dict[str, TensorEntry] = {}
    states: Files = {config: (folder / config).stat()}
    for file, wanted in files.items():
        entries, states[file] = _named(file, lambda file=file: _indexed(folder / file, kinds[whole]))  # type: ignore[misc]
        _check_listed(file, entries, wanted)
        for name, entry in entries.items():
            add(found, name, dataclasses.replace(entry, file=file))
    return found, states


def _keys(unused: tuple[str, ...]) -> tuple[str, ...]:
    """Return that keys of ``config.json`` are not used, in words."""
    return (f"not used of {CONFIG}: {listed(unused)}",) if unused else ()


def _other_files(folder: Path, read: Files) -> tuple[str, ...]:
    """Return that weights beside those that are read are not, in words."""
    others = sorted(path.name for path in folder.iterdir() if path.suffix in WEIGHTS and path.name not in read)
    return (f"other files with weights, not read: {listed(others)}",) if others else ()


def _read(fields: Mapping[str, Any], asked: str) -> tuple[FamilySpec, HfFolder, HfConfig]:
    """Return the family that has the architecture of a ``config.json``, and the configuration in its own fields."""
    fitting = _fitting(fields)
    if not fitting:
        known = [family.architecture for spec in specs.FAMILIES.values() for family in spec.all_folders]
        wanted = " or ".join(dict.fromkeys(known))
        named, kind = fields.get("architectures"), fields.get("model_type")
        raise CheckpointError(f"expected a {wanted}, found {shown(str(named))} of type {shown(str(kind))!r}")
    outer = {name: found for name, found in fitting.items() if not found[1].inner}
    meant = fitting.get(asked) or (next(iter(outer.values())) if len(outer) == 1 else None)
    if meant is None:
        raise CheckpointError(
            f"expected a component of {' or '.join(fitting)}, which all have such folders, found none that is named"
        )
    spec, family = meant
    found = family.read(fields)
    return spec, family, found if isinstance(found, HfConfig) else HfConfig(fields=found)


def _fitting(fields: Mapping[str, Any]) -> dict[str, tuple[FamilySpec, HfFolder]]:
    """Return each family that has the architecture of a ``config.json``, with how its models lie in such folders."""
    named, kind = fields.get("architectures"), fields.get("model_type")
    found: dict[str, tuple[FamilySpec, HfFolder]] = {}
    for spec in specs.FAMILIES.values():
        for family in spec.all_folders:
            if named is None and kind is None and family is not spec.huggingface:
                continue
            if named in (None, [family.architecture]) and (kind is None or kind == family.kind):
                found.setdefault(spec.name, (spec, family))
    return found


def family_of(folder: Path, asked: str = "") -> str:
    """Return the family whose models lie in a folder; nothing if there is none, or not the one that is asked for."""
    try:
        fitting = _fitting(read_object(folder / CONFIG))
    except CheckpointError:
        return ""
    outer = [name for name, (_, family) in fitting.items() if name == asked or not (asked or family.inner)]
    return outer[0] if len(outer) == 1 else ""


def _named(file: str, work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns, its errors with the name of the file before them."""
    try:
        return work()
    except CheckpointError as error:
        before = "" if str(error).startswith(file) else f"{file}: "
        raise CheckpointError(f"{before}{error}") from error


def _files(folder: Path, kinds: Iterable[str], config: str, others: tuple[str, ...]) -> tuple[str, dict[str, set[str]]]:
    """Return the kind of the files, and each with the tensors that the index promises in it, none without one."""
    for whole in kinds:
        if (folder / whole).exists():
            return whole, {whole: set()}
        if (folder / f"{whole}{INDEX}").exists():
            return whole, _named(f"{whole}{INDEX}", lambda whole=whole: _sharded(folder, whole))  # type: ignore[misc]
    for other in others:
        if (folder / other).exists():
            return next(kind for kind in kinds if Path(kind).suffix == Path(other).suffix), {other: set()}
    names = " or ".join([*(f"{whole}, {whole}{INDEX}" for whole in kinds), *others])
    raise CheckpointError(f"expected {names} beside {config}, found none of them")


def _sharded(folder: Path, whole: str) -> dict[str, set[str]]:
    listed = read_object(folder / f"{whole}{INDEX}").get("weight_map")
    if not isinstance(listed, dict) or not listed or len(listed) > MAX_TENSORS:
        raise CheckpointError("expected a weight_map from tensors to files, found none")
    files: dict[str, set[str]] = {}
    for name, file in listed.items():
        if not isinstance(file, str) or not _is_plain(file):
            raise CheckpointError(
                f"refused: {shown(name)} is said to be in {shown(str(file))!r}; expected a file in this folder"
            )
        files.setdefault(file, set()).add(name)
    return dict(sorted(files.items()))


def _is_plain(file: str) -> bool:
    """Return whether a name is that of a file beside the index: no way leads elsewhere."""
    return file not in {"", ".", ".."} and not set(file) & set("/\\\0:") and file.isprintable()


def _indexed(
    path: Path, read: Callable[[Cursor], dict[str, TensorEntry]]
) -> tuple[dict[str, TensorEntry], os.stat_result]:
    if not path.is_file():
        raise CheckpointError("expected a file, found none" if not path.exists() else "expected a file, found no file")
    with opened(path) as cursor:
        check_whole(cursor.window(0, min(HEAD, cursor.left)).take(min(HEAD, cursor.left)))
        return read(cursor), cursor.status()


def _check_listed(file: str, entries: Mapping[str, TensorEntry], wanted: set[str]) -> None:
    missing, others = sorted(wanted - set(entries)), sorted(set(entries) - wanted)
    if wanted and (missing or others):
        what = f"{shown(missing[0])} missing" if missing else f"{shown(others[0])}, which the index has not"
        raise CheckpointError(f"{file}: expected the {len(wanted)} tensors of the index, found {what}")


def _renamed(
    found: Mapping[str, TensorEntry], family: HfFolder, config: Mapping[str, Any], *, strict: bool
) -> dict[str, TensorEntry]:
    heads = int(config.get(family.heads, 1))
    entries: dict[str, TensorEntry] = {}
    strangers = []
    for name, entry in found.items():
        there = family.named(name, config)
        if family.ignored(name, config):
            continue
        if there is None:
            strangers.append(shown(name))
            if not strict:
                add(entries, name, entry)
            continue
        add(entries, there.name, seen_as(entry, there, name, heads))
    if strangers and strict:
        names = few(strangers)
        raise CheckpointError(
            f"expected the tensors of a plain {family.architecture}, found {len(strangers)} others: {names}"
        )
    return entries
