"""A language model in a ring, opened: the ranks of this machine are started, or those of several have been."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lwmport.errors import UsageError
from lwmport.extras import check_installed
from lwmport.pipeline.ring.actors import Actors
from lwmport.pipeline.ring.followers import Followers
from lwmport.pipeline.ring.joining import joined, load_channel
from lwmport.pipeline.ring.opening import check_ring
from lwmport.pipeline.ring.place import SECONDS, Place, given_place
from lwmport.registry import check_known
from lwmport.runtime.ring.leading import RingSession

LOCAL: Final = "local"
RAY: Final = "ray"
STARTERS: Final = (LOCAL, RAY)
"""What starts the other ranks: this process, as processes beside it, or Ray, as actors."""


@contextmanager
def ring_session(  # noqa: PLR0913 - keywords, all with a default
    folder: str | Path,
    *,
    ranks: int | None = None,
    backend: str = "gloo",
    seconds: float = SECONDS,
    runner: str | None = None,
    threads: int | None = None,
    on: str = LOCAL,
    address: str = "",
) -> Iterator[RingSession]:
    """Yield a model in parts, run by several ranks of which this process is rank 0.

    Without ``RANK`` and ``WORLD_SIZE`` in the environment, this starts the others as processes here, and ends them.

    Args:
        folder: what ``convert`` wrote of the component that is all parts (`lwmport.models.spec.RingParts`).
        ranks: how many; None for those that the environment says, or 1.
        backend: how they send to each other: gloo, nccl or hccl.
        seconds: how long an answer of a rank may take.
        runner: what runs the parts; None for the usual runner.
        threads: of each rank's runtime; None for its share of the processors.
        on: what starts the other ranks, ``local`` for this process, or ``ray``.
        address: of the cluster of Ray; empty to start Ray here.

    Raises:
        ArtifactError: the folder holds no model in parts.
        LostRankError: a rank is gone, or does not answer. The others are ended.
        MissingExtraError: torch is not installed, and there are several ranks.
        UsageError: a number of ranks or of seconds that cannot be, or this process is not rank 0.
    """
    folder = Path(folder)
    check_ring(folder)
    place = place_of(ranks, backend, seconds)
    if place.rank:
        raise UsageError(f"expected rank 0 where tokens are chosen, found rank {place.rank}; it has to follow")
    given = given_place(ranks, backend, seconds)
    _check_starter(on, address, given)
    if place.ranks == 1 or given:
        rank, name = joined(folder, place, runner, threads)
        with RingSession(rank, name) as session:
            yield session
        return
    check_installed("torch")
    words = folder, place, runner, threads
    with Actors(*words, address) if on == RAY else Followers(*words) as others:
        load_channel(place.ranks)
        rank, name = joined(folder, others.wait(), runner, threads)
        with RingSession(rank, name) as session:
            yield session


def _check_starter(on: str, address: str, given: Place | None) -> None:
    """Return if the ranks can be started so.

    Raises:
        UsageError: an unknown starter, an address for another one than Ray, or ranks that somebody started already.
    """
    check_known("starter of ranks", on, STARTERS)
    if address and on != RAY:
        raise UsageError(f"expected an address with --on ray alone, found {address} with --on {on}")
    if given and on == RAY:
        raise UsageError("expected ranks that Ray starts, found RANK and WORLD_SIZE in the environment; unset them")


def place_of(ranks: int | None, backend: str, seconds: float) -> Place:
    """Return the place of this process: as the environment says, or rank 0 of some on this machine.

    Raises:
        UsageError: no such number of ranks or of seconds, or the environment contradicts it.
    """
    if ranks is not None and ranks < 1:
        raise UsageError(f"expected at least 1 rank, found {ranks}")
    if not seconds > 0:
        raise UsageError(f"expected a time above 0 s for an answer of a rank, found {seconds:g}")
    found = given_place(ranks, backend, seconds)
    count = ranks or 1
    return found or Place(rank=0, ranks=count, near=count, backend=backend, seconds=seconds)
