"""A rank that does what rank 0 says: ``python -m lwmport.pipeline.ring.follower``, as `Followers` starts it."""

import json
import sys
from pathlib import Path

from lwmport import manifest
from lwmport.child import end_with
from lwmport.errors import PortError
from lwmport.pipeline.generate.request import GenerateRequest
from lwmport.pipeline.ring.joining import joined, load_channel
from lwmport.pipeline.ring.opening import ring_parts
from lwmport.pipeline.ring.place import Place, given_place
from lwmport.runtime.ring.leading import follow as obey


def follow(folder: Path, place: Place, runner: str | None, threads: int | None) -> None:
    """Work as one rank until rank 0 says that it was all.

    Raises:
        LostRankError: another rank is gone.
        PortError: this one cannot go on.
    """
    rank, _ = joined(folder, place, runner, threads)
    try:
        obey(rank)
    finally:
        rank.channel.close()
        rank.model.close()


def followed(request: GenerateRequest) -> bool:
    """Return whether this process is another rank than 0, by its environment; then it has followed to the end.

    Raises:
        PortError: as of `follow`.
    """
    if ring_parts(manifest.read(request.model)) is None:
        return False
    place = given_place(request.ranks, request.ring_backend, request.rank_seconds)
    if place is None or place.rank == 0:
        return False
    follow(request.model, place, request.runner, request.threads)
    return True


def main() -> int:
    """Run the rank that the one argument describes in JSON; a line on standard output says that it is about to join."""
    told = json.loads(sys.argv[1])
    end_with(told["parent"])
    place = Place(**told["place"])
    try:
        load_channel(place.ranks)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        follow(Path(told["folder"]), place, told["runner"], told["threads"])
    except PortError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
