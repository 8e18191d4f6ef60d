"""A file in which part of a family's weights is published, known by its tensors and seen as the family's own tree."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.huggingface.layouts import layout_from_hf
from lwmport.checkpoints.huggingface.left_out import listed
from lwmport.checkpoints.tree import add
from lwmport.errors import CheckpointError
from lwmport.models import specs
from lwmport.models.huggingface import HfName
from lwmport.models.released_files import ReleasedFiles
from lwmport.wording import shown


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """The tensors of a file by a family's names.

    Attributes:
        family: the family.
        entries: its tensors.
        remarks: which tensors of the file it does not have, in words.
    """

    family: str
    entries: dict[str, TensorEntry]
    remarks: tuple[str, ...]


def renamed(entries: Mapping[str, TensorEntry], asked: str = "") -> Renamed | None:
    """Return the tensors of a file by the names of the family that it is published for; None where it is for none.

    Args:
        entries: the tensors by the names of the file.
        asked: the family that is meant; empty for any.

    Raises:
        CheckpointError: a tensor has a shape that no layout turns into the family's, or two have one name there.
    """
    for spec in specs.FAMILIES.values():
        if spec.released is None or asked not in {"", spec.name} or not _is_of(spec.released, entries, asked):
            continue
        names = {name: spec.released.named(name) for name in entries}
        unknown = [name for name, ours in names.items() if ours is None]
        found: dict[str, TensorEntry] = {}
        for name, ours in names.items():
            if ours is not None:
                add(found, ours.name, seen_as(entries[name], ours, name))
        said = (f"{len(unknown)} tensors of it are not used: {listed(unknown)}",) if unknown else ()
        return Renamed(family=spec.name, entries=found, remarks=said)
    return None


def _is_of(released: ReleasedFiles, entries: Mapping[str, TensorEntry], asked: str) -> bool:
    """Return whether a file is of a family: it has a sign, or, where the family is asked for, a tensor of its files."""
    if not asked:
        return any(sign in entries for sign in released.signs)
    return any((ours := released.named(name)) is not None and ours.name != name for name in entries)


def seen_as(entry: TensorEntry, ours: HfName, name: str, heads: int = 1) -> TensorEntry:
    """Return a tensor of torch as ours: the same bytes, in the order in which we have them.

    Raises:
        CheckpointError: its shape is none that such a tensor has.
    """
    try:
        layout = layout_from_hf(entry.shape, ours, heads)
        if layout is None:
            return entry
        return dataclasses.replace(entry, shape=layout.shape, view=layout.view, axes=layout.axes)
    except CheckpointError as error:
        raise CheckpointError(f"{shown(name)}: {error}") from error
