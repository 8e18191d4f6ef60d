"""A chip: the name that its target's compiler takes, its family, memory and dtypes."""

from dataclasses import dataclass
from typing import Final

GIB: Final = 2**30
MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A chip or a card. ``memory`` is in bytes, None where no source gives it; ``family`` groups what behaves alike.

    ``usable`` are the bytes of it that programs can have, None where no source gives them.
    """

    name: str
    family: str
    memory: int | None = None
    bfloat16: bool = True
    usable: int | None = None


def family_of(
    names: str, family: str, memory: int | None = None, *, bfloat16: bool = True, usable: int | None = None
) -> dict[str, Chip]:
    """Return the chips of one family by name; ``names`` has spaces between them."""
    return {
        name: Chip(name=name, family=family, memory=memory, bfloat16=bfloat16, usable=usable) for name in names.split()
    }
