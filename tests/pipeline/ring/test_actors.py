"""Ray starts the ranks; a stand-in for Ray shows what they are told, and what is said when one is gone."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lwmport.errors import LostRankError, MissingExtraError, UsageError
from lwmport.pipeline.ring.actors import Actors, Home
from lwmport.pipeline.ring.place import Place
from lwmport.pipeline.ring.session import _check_starter

HERE, THERE = Home("a", "127.0.0.1", 1), Home("b", "10.0.0.3", 7)


class FakeRay:
    """Two machines; actors come to the homes of `homes` in turn, and answer `words` when they have followed."""

    def __init__(self, homes: list[Home], words: str | Exception = "") -> None:
        self.homes, self.words = homes, words
        self.begun: dict[str, Any] = {}
        self.told: list[dict[str, Any]] = []
        self.ended: list[Any] = []
        self.util = SimpleNamespace(get_node_ip_address=lambda: HERE.address)

    def is_initialized(self) -> bool:
        return False

    def init(self, **settings: Any) -> None:
        if settings.get("address") == "nowhere:1":
            raise ConnectionError("Traceback of Ray\nCould not find a cluster")
        self.begun = settings

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: HERE.node)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, **_: Any) -> Any:
        homes = iter(self.homes)

        def started(_: Any) -> Any:
            def actor() -> Any:
                home = next(homes)
                return SimpleNamespace(
                    arrive=SimpleNamespace(remote=lambda: home), follow=SimpleNamespace(remote=self._follow)
                )

            return SimpleNamespace(remote=actor)

        return started

    def _follow(self, _folder: str, place: dict[str, Any], _runner: str | None, _threads: int | None) -> Any:
        self.told.append(place)
        return self.words

    def get(self, what: Any, timeout: float | None = None) -> Any:
        del timeout
        if isinstance(what, Exception):
            raise what
        return what

    def wait(self, works: list[Any], **_: Any) -> Any:
        return works, []

    def kill(self, actor: Any) -> None:
        self.ended.append(actor)

    def shutdown(self) -> None:
        self.ended.append("Ray")


def begun(ray: FakeRay, monkeypatch: pytest.MonkeyPatch, ranks: int = 3, **changed: Any) -> Actors:
    monkeypatch.setitem(sys.modules, "ray", ray)
    place = Place(rank=0, ranks=ranks, near=ranks, backend=changed.pop("backend", "gloo"), seconds=9.0)
    asked = {"runner": None, "threads": None, "address": "", **changed}
    return Actors(Path("parts"), place, **asked)


def test_on_one_machine_the_ranks_meet_in_a_file_and_share_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay([HERE, HERE])
    with begun(ray, monkeypatch) as actors:
        own = actors.wait()
    assert own.meeting.startswith("file:///")
    assert [(place["rank"], place["near"], place["meeting"]) for place in ray.told] == [
        (1, 3, own.meeting),
        (2, 3, own.meeting),
    ]
    assert ray.begun["address"] == "local"
    assert len(ray.ended) == 3, "two actors, and Ray that was started for them"


def test_in_a_cluster_they_meet_at_the_address_of_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay([HERE, THERE])
    with begun(ray, monkeypatch, address="auto") as actors:
        own = actors.wait()
    assert own.meeting.startswith("tcp://127.0.0.1:")
    assert (own.near, [place["near"] for place in ray.told]) == (2, [2, 1])
    assert ray.begun["address"] == "auto"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (RuntimeError("died\nin many lines"), r"the actor of rank 1 is gone \(process 7 on 10.0.0.3\)"),
        ("expected parts, found none", "that rank 1 ended: expected parts, found none"),
        ("expected an answer of rank 0 within 9 s", "^a neighbour is gone$"),
    ],
)
def test_the_rank_that_is_lost_is_named(words: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay([THERE, HERE], words)

    def work() -> None:
        with begun(ray, monkeypatch) as actors:
            actors.wait()
            raise LostRankError("a neighbour is gone")

    with pytest.raises(LostRankError, match=message):
        work()
    assert "Ray" in ray.ended


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"backend": "nccl"}, UsageError, "expected gloo between actors of Ray, found nccl"),
        ({"address": "ray://head:10001"}, UsageError, "expected HOST:PORT or auto .* found ray://head:10001"),
        ({"address": "nowhere:1"}, LostRankError, "expected Ray at nowhere:1, found: Could not find a cluster$"),
        ({"threads": 2}, LostRankError, "expected 4 processors in the cluster for 2 actors, found 2"),
    ],
)
def test_what_no_ring_can_be_started_with_costs_one_line(
    changed: dict[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(error, match=message):
        begun(FakeRay([HERE]), monkeypatch, **changed)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'lwmport\[ray\]'"):
        begun(None, monkeypatch)  # type: ignore[arg-type]


def test_starters_that_contradict_are_refused() -> None:
    given = Place(rank=0, ranks=2, near=1, backend="gloo", seconds=1.0)
    with pytest.raises(UsageError, match="expected an address with --on ray alone, found x:1 with --on local"):
        _check_starter("local", "x:1", None)
    with pytest.raises(UsageError, match="found RANK and WORLD_SIZE in the environment; unset them"):
        _check_starter("ray", "", given)
    with pytest.raises(UsageError, match="expected a starter of ranks out of ray, local, found 'rai'"):
        _check_starter("rai", "", None)
