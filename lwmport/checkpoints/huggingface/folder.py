"""A Hugging Face folder as a family's own tree: the same bytes, found by its names and seen in its layouts."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.cursor import Cursor, opened
from lwmport.checkpoints.detection import check_whole
from lwmport.checkpoints.entry import MAX_TENSORS, TensorEntry
from lwmport.checkpoints.huggingface.layouts import layout_from_hf
from lwmport.checkpoints.huggingface.rows import divided
from lwmport.checkpoints.plain_json import read_object
from lwmport.checkpoints.safetensors import index as safetensors_index
from lwmport.checkpoints.torch import index as torch_index
from lwmport.checkpoints.tree import add
from lwmport.errors import CheckpointError
from lwmport.instead import HEAD
from lwmport.models import specs
from lwmport.models.huggingface import HuggingFace
from lwmport.models.spec import FamilySpec
from lwmport.wording import few, shown

CONFIG: Final = "config.json"
INDEX: Final = ".index.json"

KINDS: Final[Mapping[str, Callable[[Cursor], dict[str, TensorEntry]]]] = {
    "model.safetensors": safetensors_index.index,
    "pytorch_model.bin": torch_index.index,
}
"""The file of a whole model -> what indexes it and its like; with `INDEX` after it, the list of several files."""

Files = dict[str, os.stat_result]


def index(folder: Path, asked: str = "") -> tuple[dict[str, TensorEntry], Files, dict[str, Any]]:
    """Return the tensors of a folder by its family's names, its files, and its configuration with its field names.

    A tensor that the family does not have keeps its name, unless the family is strict.

    Args:
        folder: where they lie.
        asked: the family that is meant where several have the architecture.

    Raises:
        CheckpointError: no folder of a known family, a file that is missing, damaged, hostile or outside the folder, or
            a model that the family does not compute.
    """
    spec, family, config = _named(CONFIG, lambda: _read(read_object(folder / CONFIG), asked))
    whole, files = _files(folder)
    found: dict[str, TensorEntry] = {}
    states: Files = {CONFIG: (folder / CONFIG).stat()}
    for file, wanted in files.items():
        entries, states[file] = _named(file, lambda file=file: _indexed(folder / file, KINDS[whole]))  # type: ignore[misc]
        _check_listed(file, entries, wanted)
        for name, entry in entries.items():
            add(found, name, dataclasses.replace(entry, file=file))
    return divided(_renamed(found, family, config, strict=spec.strict), family.rows(config)), states, config


def _read(fields: Mapping[str, Any], asked: str) -> tuple[FamilySpec, HuggingFace, dict[str, Any]]:
    """Return the family that has the architecture of a ``config.json``, and the configuration in its own fields."""
    families = [(spec, spec.huggingface) for spec in specs.FAMILIES.values() if spec.huggingface is not None]
    named, kind = fields.get("architectures"), fields.get("model_type")
    fitting = [
        (spec, family)
        for spec, family in families
        if named in (None, [family.architecture]) and (kind is None or kind == family.kind)
    ]
    if not fitting:
        wanted = " or ".join(dict.fromkeys(family.architecture for _, family in families))
        raise CheckpointError(f"expected a {wanted}, found {shown(str(named))} of type {shown(str(kind))!r}")
    meant = fitting if len(fitting) == 1 else [(spec, family) for spec, family in fitting if spec.name == asked]
    if not meant:
        names = " or ".join(spec.name for spec, _ in fitting)
        raise CheckpointError(f"expected a component of {names}, which all have such folders, found none that is named")
    ((spec, family),) = meant
    return spec, family, family.read(fields)


def _named(file: str, work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns, its errors with the name of the file before them."""
    try:
        return work()
    except CheckpointError as error:
        before = "" if str(error).startswith(file) else f"{file}: "
        raise CheckpointError(f"{before}{error}") from error


def _files(folder: Path) -> tuple[str, dict[str, set[str]]]:
    """Return the kind of the files, and each with the tensors that the index promises in it, none without one."""
    for whole in KINDS:
        if (folder / whole).exists():
            return whole, {whole: set()}
        if (folder / f"{whole}{INDEX}").exists():
            return whole, _named(f"{whole}{INDEX}", lambda whole=whole: _sharded(folder, whole))  # type: ignore[misc]
    names = " or ".join(f"{whole}, {whole}{INDEX}" for whole in KINDS)
    raise CheckpointError(f"expected {names} beside {CONFIG}, found none of them")


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
    found: Mapping[str, TensorEntry], family: HuggingFace, config: Mapping[str, Any], *, strict: bool
) -> dict[str, TensorEntry]:
    heads = config[family.heads]
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
        layout = layout_from_hf(entry.shape, there, heads)
        view = {} if layout is None else {"shape": layout.shape, "view": layout.view, "axes": layout.axes}
        add(entries, there.name, dataclasses.replace(entry, **view))  # type: ignore[arg-type]
    if strangers and strict:
        names = few(strangers)
        raise CheckpointError(
            f"expected the tensors of a plain {family.architecture}, found {len(strangers)} others: {names}"
        )
    return entries
