"""What an inspection finds: facts, models with their tensors, and what to do next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lwmport.checkpoints.index import Checkpoint
from lwmport.targets.graphs.record import Value
from lwmport.types import Dim, TensorSpec
from lwmport.wording import shown


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or an output; ``shape`` is None where the file does not say."""

    name: str
    dtype: str
    shape: tuple[Dim, ...] | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One model of several, or the one: its tensors, and how many there are of each operator."""

    name: str
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What is at a path.

    Attributes:
        kind: what it is, in a few words.
        path: where.
        facts: what it says of itself: opset, dialect, producer and the like, by name.
        bytes: of all its files.
        parts: the models in it.
        checkpoint: its tensors, where it is a checkpoint.
        known: what is known of a checkpoint beside them (`lwmport.checkpoints.description.described`).
        next: what can be done with it, a line each.
    """

    kind: str
    path: Path
    facts: Mapping[str, str] = field(default_factory=dict)
    bytes: int = 0
    parts: tuple[Part, ...] = ()
    checkpoint: Checkpoint | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    next: tuple[str, ...] = ()


def part_of(
    name: str,
    inputs: Iterable[Value | TensorSpec],
    outputs: Iterable[Value | TensorSpec],
    operators: Mapping[str, int],
    public: Mapping[str, str] | None = None,
) -> Part:
    """Return a model; ``public`` are the names that its tensors have outside."""
    names = public or {}
    sides = [
        tuple(Tensor(name=shown(names.get(one.name, one.name)), dtype=one.dtype, shape=one.shape) for one in values)
        for values in (inputs, outputs)
    ]
    return Part(name=shown(name), inputs=sides[0], outputs=sides[1], operators=operators)


def told(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts that say something."""
    return {name: value for name, value in facts.items() if value}


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
