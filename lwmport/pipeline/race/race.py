"""The race itself: everyone gives outputs, which are judged, and then runs once a round, in turns."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Final

from lwmport import child, memory
from lwmport.errors import PortError, said
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.race.entrants import Entrant
from lwmport.pipeline.race.racer import server
from lwmport.pipeline.race.yardstick import Yardstick
from lwmport.reports.race.record import Accuracy, RaceRow, Ratio
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Status

MARGIN: Final = 0.03
"""By how much of its time another way must beat the usual one: less is noise, and no reason to change."""


@dataclass(kw_only=True)
class _Lane:
    """One entrant, its process, and what is known of it."""

    entrant: Entrant
    server: child.Server
    reason: str = ""
    opens: float = 0.0
    peak: int = 0
    accuracy: Accuracy | None = None
    seconds: list[float] = field(default_factory=list)


def context_of(entrant: Entrant) -> RunnerContext:
    """Return how an entrant's model is opened."""
    way = entrant.contender
    return RunnerContext(threads=way.threads, signature=entrant.job.signature, precision=way.precision)


def race(
    entrants: Sequence[Entrant], yardstick: Yardstick, timed: Mapping[str, Array], rounds: int, observer: Observer
) -> tuple[RaceRow, ...]:
    """Return a row for each entrant; a ratio is to the first one that was raced.

    All stay open through all rounds if memory allows, else each is opened anew for each turn. Each round begins with
    the next one, so that nobody always runs behind the same other. A way that fails is a row that says why.
    """
    with contextlib.ExitStack() as stack:
        lanes = [_Lane(entrant=one, server=stack.enter_context(_opened(one, yardstick, timed))) for one in entrants]
        crowded = False
        for lane in lanes:
            observer.phase(f"{lane.entrant.name}: open and judge")
            _judge(lane, yardstick)
            crowded = crowded or _is_crowded(lane)
            if crowded:
                lane.server.rest()
        running = [lane for lane in lanes if not lane.reason]
        for number in range(rounds if running else 0):
            observer.phase(f"race: round {number + 1} of {rounds}")
            for lane in _from(running, number):
                _turn(lane)
                if crowded:
                    lane.server.rest()
        return tuple(_rows(lanes))


def _opened(one: Entrant, yardstick: Yardstick, timed: Mapping[str, Array]) -> Any:
    return contextlib.closing(server(one.job.path, one.contender.engine, context_of(one), yardstick.feeds, timed))


def _judge(lane: _Lane, yardstick: Yardstick) -> None:
    """Open a model, ask for its outputs, and judge them."""
    if lane.entrant.lack:
        lane.reason = lane.entrant.lack
        return
    try:
        found = lane.server.ask(outputs=True)
    except PortError as error:
        lane.reason = said(error)
        return
    lane.opens, lane.peak = found["opens"], found["peak"]
    lane.accuracy = yardstick.judge(found["outputs"], lane.entrant.contender.precision)


def _is_crowded(lane: _Lane) -> bool:
    """Return whether less memory is free than two such processes take: then not all can stay open."""
    free = memory.free_bytes()
    return free is not None and free < 2 * lane.peak


def _from(lanes: list[_Lane], number: int) -> Iterator[_Lane]:
    first = number % len(lanes)
    yield from (lane for lane in (*lanes[first:], *lanes[:first]) if not lane.reason)


def _turn(lane: _Lane) -> None:
    try:
        found = lane.server.ask(outputs=False)
    except PortError as error:
        lane.reason = said(error)
        return
    lane.seconds.append(found["seconds"])
    lane.peak = max(lane.peak, found["peak"])


def _rows(lanes: Sequence[_Lane]) -> Iterator[RaceRow]:
    usual = next((lane.seconds for lane in lanes if not lane.reason and lane.seconds), [])
    for lane in lanes:
        way = lane.entrant.contender
        row = RaceRow(
            way=lane.entrant.name,
            engine=way.engine,
            precision=way.precision,
            threads=way.threads,
            artifact=lane.entrant.artifact,
            reason=lane.reason,
        )
        if lane.reason or not lane.seconds:
            yield row
            continue
        ratios = [own / base for own, base in zip(lane.seconds, usual, strict=True)]
        yield replace(
            row,
            opens_s=lane.opens,
            seconds=median(lane.seconds),
            rounds=tuple(lane.seconds),
            ratio=Ratio(median=median(ratios), low=min(ratios), high=max(ratios)),
            accuracy=lane.accuracy,
            peak_bytes=lane.peak,
        )


def winner_of(rows: Sequence[RaceRow]) -> int | None:
    """Return the place of the fastest row that keeps the bound: the first, unless another beats it by the margin.

    None where none keeps it.
    """
    kept = {
        place: row.ratio.median
        for place, row in enumerate(rows)
        if row.ratio is not None and row.accuracy is not None and row.accuracy.verdict is Status.PASSED
    }
    if not kept:
        return None
    first, best = min(kept), min(kept, key=lambda place: kept[place])
    return best if kept[best] < kept[first] * (1 - MARGIN) else first
