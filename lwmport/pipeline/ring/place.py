"""Which rank of how many a process is, and how it comes to the others."""

import os
from dataclasses import dataclass
from typing import Final

from lwmport.errors import UsageError
from lwmport.processors import processors

GIVEN: Final = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""The variables by which torchrun, or whoever starts a rank on each machine, says which one it is."""

SECONDS: Final = 300.0
"""How long a rank waits for another one's answer where no other time is asked for."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A rank among others.

    Attributes:
        rank: from 0.
        ranks: how many there are.
        near: how many of them are on this machine, and share its processors.
        backend: how they send to each other (`lwmport.runtime.ring.torch_channel.DEVICES`).
        seconds: how long an answer may take.
        meeting: where they find each other, as a URL: ``file:`` if all are on this machine, ``tcp:`` for rank 0 at an
            address; empty for `GIVEN`.
    """

    rank: int
    ranks: int
    near: int
    backend: str
    seconds: float
    meeting: str = ""

    def threads(self, asked: int | None) -> int:
        """Return how many threads a rank's runtime has: those asked for, or its share of the processors."""
        return asked or max(1, processors() // self.near)


def given_place(ranks: int | None, backend: str, seconds: float) -> Place | None:
    """Return the place that the environment says; None where it says none.

    Raises:
        UsageError: it says only a part of it, or another number of ranks than was asked for.
    """
    found = {name: os.environ[name] for name in GIVEN if os.environ.get(name)}
    if "RANK" not in found or "WORLD_SIZE" not in found:
        return None
    missing = [name for name in GIVEN if name not in found]
    numbers = {name: found[name] for name in ("RANK", "WORLD_SIZE")}
    if missing or not all(text.isdecimal() for text in numbers.values()):
        what = f"without {', '.join(missing)}" if missing else "that are no numbers"
        raise UsageError(f"expected {', '.join(GIVEN)} in the environment of a rank, found {numbers} {what}")
    rank, world = int(found["RANK"]), int(found["WORLD_SIZE"])
    if rank >= world or ranks not in {None, world}:
        wanted = f"{ranks} ranks, as --ranks says" if ranks not in {None, world} else f"a RANK below {world}"
        raise UsageError(f"expected {wanted}, found RANK={rank} and WORLD_SIZE={world} in the environment")
    near = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return Place(rank=rank, ranks=world, near=int(near) if near.isdecimal() else 1, backend=backend, seconds=seconds)
