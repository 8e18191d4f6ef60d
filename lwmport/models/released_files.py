"""What a family tells of the files in which its weights are published without a configuration."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from lwmport.models.huggingface import HfName


@dataclass(frozen=True, kw_only=True)
class ReleasedFiles:
    """How a family's weights are published in several files or folders, which are put together here.

    Attributes:
        named: ``named(name)`` returns our name of a tensor of a file, None for a tensor that the family does not have.
            The names of all files together are different ones.
        signs: tensors, by names that they have in files and not here. A file with one of them is one of the family's,
            whatever it is called.
        homes: how our names begin -> the published file or folder that holds such tensors.
    """

    named: Callable[[str], HfName | None]
    signs: tuple[str, ...]
    homes: Mapping[str, str] = field(default_factory=dict)

    def where(self, missing: Collection[str], held: Collection[str]) -> str:
        """Return which published files hold what is missing as a whole, as the end of a message."""
        found = [
            (start, file)
            for start, file in self.homes.items()
            if any(name.startswith(start) for name in missing) and not any(name.startswith(start) for name in held)
        ]
        told = "".join(f"; {start.rstrip('/')} is in {file}" for start, file in found)
        return f"{told}; put it beside the others and name the folder as the checkpoint" if told else ""
