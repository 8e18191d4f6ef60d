"""The ranks of a ring but the first as actors of Ray, on this machine or on those of a cluster."""

import logging
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import lwmport
from lwmport import extras
from lwmport.errors import LostRankError, PortError, UsageError
from lwmport.pipeline.ring.follower import follow
from lwmport.pipeline.ring.followers import SETTLED, STARTING
from lwmport.pipeline.ring.joining import load_channel
from lwmport.pipeline.ring.place import Place
from lwmport.pipeline.ring.started import StartedRanks
from lwmport.processors import processors

STORE_BYTES: Final = 100 << 20
"""Memory for Ray's own objects where it is started here: the ranks send to each other without it."""

HELLO: Final = "ray://"
"""How addresses begin by which a program outside a cluster speaks to it."""


class Home(NamedTuple):
    """Where an actor is: its machine as Ray names it, that machine's address, and the number of the process."""

    node: str
    address: str
    process: int


class Follower:
    """One rank, as the actor that Ray starts."""

    def arrive(self) -> Home:
        """Return where it is, when it has imported what takes long."""
        load_channel(2)
        return _home(extras.require("ray"))

    def follow(self, folder: str, place: Mapping[str, Any], runner: str | None, threads: int | None) -> str:
        """Work until rank 0 says that it was all; return what went wrong in one line, or nothing."""
        try:
            follow(Path(folder), Place(**place), runner, threads)
        except PortError as error:
            return str(error)
        return ""


class Actors(StartedRanks):
    """Actors for the ranks from 1 on; each machine has the package, and the folder of the model at the same path.

    Args:
        folder: the model.
        place: that of rank 0, this process.
        runner, threads: as of rank 0. So many processors are reserved for each actor, or 1.
        address: of the cluster, of which this machine is one; empty to start Ray on this machine alone.

    Raises:
        LostRankError: there is no cluster, or not as many processors in it.
        MissingExtraError: Ray is not installed.
        UsageError: an address of another kind, or another backend than gloo.
    """

    def __init__(self, folder: Path, place: Place, runner: str | None, threads: int | None, address: str) -> None:
        if place.backend != "gloo":
            raise UsageError(f"expected gloo between actors of Ray, found {place.backend}; start the ranks by torchrun")
        self._ray: Any = extras.require("ray")
        self._place, self._told = place, (str(folder.absolute()), runner, threads)
        self._homes: list[Home] = []
        self._works: list[Any] = []
        self._began = _begun(self._ray, address, place.ranks, threads or 1)
        self._scratch = tempfile.TemporaryDirectory()
        self._actors: list[Any] = []
        try:
            started = self._ray.remote(num_cpus=threads or 1, scheduling_strategy="SPREAD")(Follower)
            self._actors += [started.remote() for _ in range(1, place.ranks)]
        except BaseException:
            self._end()
            raise

    def wait(self) -> Place:
        """Return the place of rank 0 when every actor is about to join it.

        Raises:
            LostRankError: one is not there in `STARTING` seconds, or cannot work.
        """
        arriving = [actor.arrive.remote() for actor in self._actors]
        try:
            self._homes = self._ray.get(arriving, timeout=STARTING)
        except Exception as error:  # Ray's errors are those of the actors too
            raise LostRankError(
                f"expected {len(arriving)} actors of Ray within {STARTING:g} s, found: {_last_line(error)}"
            ) from error
        here = _home(self._ray)
        homes = [here, *self._homes]
        nodes = [home.node for home in homes]
        places = [
            replace(self._place, rank=rank, near=nodes.count(node), meeting=self._meeting(homes))
            for rank, node in enumerate(nodes)
        ]
        folder, runner, threads = self._told
        for actor, place in zip(self._actors, places[1:], strict=True):
            self._works.append(actor.follow.remote(folder, asdict(place), runner, threads))
        return places[0]

    def _meeting(self, homes: list[Home]) -> str:
        """Return where the ranks find each other: in a file if one machine has all, else at rank 0's address."""
        here = homes[0]
        if all(home.node == here.node for home in homes):
            return (Path(self._scratch.name) / "ranks").as_uri()
        with socket.create_server((here.address, 0)) as free:
            return f"tcp://{here.address}:{free.getsockname()[1]}"

    def _lost(self, otherwise: str) -> str:
        """Return in one line which rank is gone and why; ``otherwise`` where all are still there."""
        ranks, own = self._place.ranks, list[str]()
        ended, _ = self._ray.wait(self._works, num_returns=len(self._works), timeout=SETTLED)
        for rank, (home, work) in enumerate(zip(self._homes, self._works, strict=False), 1):
            if work in ended:
                try:
                    words = self._ray.get(work)
                except Exception:  # noqa: BLE001 - its process is gone, whatever Ray calls that
                    return (
                        f"expected {ranks} ranks at work, found that the actor of rank {rank} is gone (process "
                        f"{home.process} on {home.address}), ended by someone or for want of memory; start again, "
                        "with more ranks if so"
                    )
                if words and "answer of rank" not in words:
                    own.append(f"expected {ranks} ranks at work, found that rank {rank} ended: {words}")
        return own[0] if own else otherwise

    def _end(self, seconds: float = 0) -> None:  # noqa: ARG002 - Ray waits for nobody
        """End the actors, and Ray where it was started for them."""
        for actor in self._actors:
            self._ray.kill(actor)
        if self._began:
            self._ray.shutdown()
        self._scratch.cleanup()


def _home(ray: Any) -> Home:
    return Home(ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address(), os.getpid())


def _begun(ray: Any, address: str, ranks: int, each: int) -> bool:
    """Return whether Ray was not there before, and now is, with room for the actors.

    Raises:
        LostRankError: there is no cluster at the address, or none with as many processors.
        UsageError: the address is for programs outside a cluster, whom no rank reaches.
    """
    if address.startswith(HELLO):
        raise UsageError(
            f"expected HOST:PORT or auto on a machine of the cluster, found {address}; no rank reaches out"
        )
    began, needed = not ray.is_initialized(), (ranks - 1) * each
    if began:
        try:
            ray.init(**_settings(address, needed))
        except Exception as error:
            raise LostRankError(f"expected Ray at {address or 'this machine'}, found: {_last_line(error)}") from error
    found = int(ray.cluster_resources().get("CPU", 0))
    if found < needed:
        if began:
            ray.shutdown()
        raise LostRankError(f"expected {needed} processors in the cluster for {ranks - 1} actors, found {found}")
    return began


def _settings(address: str, needed: int) -> dict[str, Any]:
    """Return how Ray is begun: at an address, or on this machine alone, where actors import this very package."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        return {"address": address, **quiet}
    home, before = str(Path(lwmport.__file__).parent.parent), os.environ.get("PYTHONPATH")
    path = os.pathsep.join([home, before] if before else [home])
    return {
        "address": "local",
        "num_cpus": max(processors(), needed),
        "object_store_memory": STORE_BYTES,
        "include_dashboard": False,
        "_system_config": {"worker_niceness": 0},  # Ray's own 15 would let rank 0, which waits for them, go before them
        "runtime_env": {"env_vars": {"PYTHONPATH": path}},
        **quiet,
    }


def _last_line(error: BaseException) -> str:
    """Return the last line of an error of Ray, which holds the trace of another process."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
