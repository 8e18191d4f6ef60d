"""What a family tells of the files that its makers publish: which there are, and what their tensors are called here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CONVOLUTION = (2, 3, 1, 0)
"""torch has the kernel of a convolution as [out, in, height, width], JAX as [height, width, in, out]."""

MATRIX = (1, 0)
"""torch has a matrix as [out, in], JAX as [in, out]."""

AXES: Mapping[int, tuple[int, ...]] = {2: MATRIX, 4: CONVOLUTION}
"""Axes of a torch weight -> the order in which JAX has them."""


@dataclass(frozen=True, kw_only=True)
class OwnName:
    """A tensor's name here; ``axes`` is the order in which its axes are taken, empty for the order of the file."""

    name: str
    axes: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReleasedFiles:
    """The files of a family's models, each by the tensors that it holds.

    Attributes:
        named: ``named(name, rank)`` returns our name of a tensor of such a file, None for one that no component reads.
        configured: ``configured(fields)`` returns the family's fields that a ``config.json`` tells, and those of them
            that have defaults for it leaves them out. It raises `PortError` for a model that is not computed.
        homes: how our names begin -> the published file that holds such tensors, to name where one is missing.
    """

    named: Callable[[str, int], OwnName | None]
    homes: Mapping[str, str] = field(default_factory=dict)
    configured: Callable[[Mapping[str, Any]], tuple[Mapping[str, Any], tuple[str, ...]]] | None = None


def torch_module(name: str, rank: int) -> OwnName:
    """Return our name of a parameter of a torch module: a weight is a scale or a kernel, by its rank."""
    path, _, last = name.rpartition(".")
    if last == "weight":
        last = "scale" if rank == 1 else "kernel"
    return OwnName(
        name=f"{path}.{last}".strip(".").replace(".", "/"), axes=AXES.get(rank, ()) if last == "kernel" else ()
    )
