"""The line of requests: one runs, few wait, and whoever leaves is forgotten."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lwmport.errors import PortError
from lwmport.pipeline.serve.job import Job
from lwmport.pipeline.serve.line import Line
from lwmport.pipeline.serve.refused import Gone, RefusedError, headers_of


async def never() -> None:
    await asyncio.Event().wait()


async def seen(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        await asyncio.sleep(0.005)


async def told(job: Job) -> list[Any]:
    return [event async for event in job.events()]


def run(test: Callable[[Line, list[str]], Any], **fields: Any) -> None:
    rested: list[str] = []
    line = Line(**{"waiting": 1, "seconds": 60, **fields}, rest=lambda: rested.append("rest"))
    try:
        asyncio.run(test(line, rested))
    finally:
        line.close()


def test_one_runs_one_waits_and_a_third_is_told_to_come_again() -> None:
    async def test(line: Line, rested: list[str]) -> None:
        going, order = threading.Event(), []

        def work(job: Job) -> None:
            going.wait(10)
            order.append("first")
            job.tell(1)

        def later(job: Job) -> None:
            order.append("second")
            job.tell(2)

        with line.place() as first, line.place() as second:
            one, two = first.enter(work, never), second.enter(later, never)
            await seen(lambda: line.running and line.waiting == 1)
            with (
                pytest.raises(RefusedError, match="expected at most 2 requests at once, one that runs") as caught,
                line.place(),
            ):
                pass
            assert headers_of(caught.value)["Retry-After"] == "1"
            going.set()
            assert (await told(one), await told(two)) == ([1], [2])
            assert order == ["first", "second"]
        await seen(lambda: len(rested) == 2)
        assert line.taken == 0

    run(test)


def test_who_leaves_while_it_waits_never_runs() -> None:
    async def test(line: Line, _: list[str]) -> None:
        going, ran = threading.Event(), []
        with line.place() as first:
            one = first.enter(lambda _: going.wait(10) and None, never)
            await seen(lambda: line.running)
            with line.place() as second:
                left = second.enter(lambda _: ran.append(1), never)
            assert (line.waiting, line.taken) == (0, 1)
            with pytest.raises(Gone):
                await told(left)
            going.set()
            await told(one)
        assert ran == []

    run(test)


def test_who_leaves_while_it_runs_ends_it_at_the_next_check() -> None:
    async def test(line: Line, rested: list[str]) -> None:
        steps: list[int] = []

        def work(job: Job) -> None:
            for step in range(100_000):
                job.check()
                steps.append(step)
                time.sleep(0.001)

        gone = asyncio.Event()

        async def leaves() -> None:
            await gone.wait()

        with line.place() as place:
            job = place.enter(work, leaves)
            await seen(lambda: steps)
            gone.set()
            with pytest.raises(Gone):
                await told(job)
        await seen(lambda: rested)
        assert len(steps) < 100_000
        assert not line.running

    run(test)


def test_errors_come_out_where_the_events_do() -> None:
    async def test(line: Line, _: list[str]) -> None:
        def late(job: Job) -> None:
            job.tell("begun")
            time.sleep(0.06)
            job.check()

        def broken(_: Job) -> None:
            raise KeyError("a")

        for work, said in (
            (late, "expected an answer within 0.05 seconds"),
            (broken, "KeyError: 'a'; lwmport did not"),
        ):
            with line.place() as place, pytest.raises(PortError, match=said):
                await told(place.enter(work, never))

    run(test, seconds=0.05)


def test_a_line_that_is_closed_gives_everybody_up() -> None:
    async def test(line: Line, _: list[str]) -> None:
        def work(job: Job) -> None:
            while True:
                job.check()
                time.sleep(0.001)

        with line.place() as first, line.place() as second:
            jobs = [place.enter(work, never) for place in (first, second)]
            await seen(lambda: line.running)
            assert line.close()
            assert line.closed
            for job in jobs:
                with pytest.raises(Gone):
                    await told(job)

    run(test)
