"""What a family tells of the files in which its weights are published without a configuration."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from lwmport.models.huggingface import HfName


@dataclass(frozen=True, kw_only=True)
class WeightPart:
    """One part of a model's weights, which is published by itself.

    Attributes:
        starts: what the names of its tensors begin with here; the whole name of a lone tensor.
        where: the file or the folder that holds it, as it is published.
    """

    starts: str
    where: str

    def among(self, names: Collection[str]) -> bool:
        """Return whether one of these tensors is of the part."""
        return any(name.startswith(self.starts) for name in names)


@dataclass(frozen=True, kw_only=True)
class ReleasedFiles:
    """How a family's weights are published in several files or folders, which are put together here.

    Attributes:
        named: ``named(name)`` returns our name of a tensor of a file, None for a tensor that the family does not have.
            The names of all files together are different ones.
        signs: tensors, by names that they have in files and not here. A file with one of them is one of the family's,
            whatever it is called.
        parts: what is published by itself.
    """

    named: Callable[[str], HfName | None]
    signs: tuple[str, ...]
    parts: tuple[WeightPart, ...]
