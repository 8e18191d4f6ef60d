"""A rank joins the others: it finds them, opens its model and waits until all have."""

from pathlib import Path

from lwmport import registry
from lwmport.pipeline.ring.opening import open_model
from lwmport.pipeline.ring.place import Place
from lwmport.runtime.ring.channel import Alone, Channel, meet
from lwmport.runtime.ring.rank import RingRank

CHANNEL = "lwmport.runtime.ring.torch_channel:TorchChannel"


def joined(folder: Path, place: Place, runner: str | None, threads: int | None) -> tuple[RingRank, str]:
    """Return a rank that is ready when all are, and the name of its runtime.

    Raises:
        LostRankError: the others do not come.
        MissingExtraError: torch is not installed.
        PortError: the model cannot be opened; the others then learn that this rank is gone.
    """
    channel = _channel(place)
    try:
        model, name = open_model(folder, runner, place.threads(threads))
        meet(channel)
    except BaseException:
        channel.close()
        raise
    return RingRank(model, channel), name


def load_channel(ranks: int) -> None:
    """Import what the channel needs: it takes seconds, which no other rank should wait for."""
    if ranks > 1:
        registry.load(CHANNEL)


def _channel(place: Place) -> Channel:
    if place.ranks == 1:
        return Alone()
    found: Channel = registry.load(CHANNEL)(place.backend, place.rank, place.ranks, place.seconds, place.meeting)
    return found
