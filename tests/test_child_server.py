"""A process that is asked again and again: it keeps what it has, dies alone, and is started anew."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lwmport.child import Bounds, Server
from lwmport.errors import ChildError, UsageError

BOUNDS = Bounds(seconds=30, nbytes=1 << 31)


def counter(start: int) -> Callable[..., Any]:
    count = [start]

    def answer(what: str, value: Any = None) -> Any:
        count[0] += 1
        if what == "die":
            os.kill(os.getpid(), signal.SIGFPE)
        if what == "wait":
            time.sleep(60)
        if what == "refuse":
            raise UsageError("expected another word")
        sys.stdout.write("what a runtime prints\n")
        return [count[0], value]

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.closing(Server(counter, {"start": 5}, BOUNDS, "the count")) as made:
        yield made


def test_it_keeps_what_it_has(server: Server) -> None:
    assert server.ask(what="count")[0] == 6
    number, value = server.ask(what="count", value=np.arange(3))
    assert number == 7
    np.testing.assert_array_equal(value, np.arange(3))


def test_an_error_of_ours_comes_back_and_does_not_end_it(server: Server) -> None:
    with pytest.raises(UsageError, match="expected another word"):
        server.ask(what="refuse")
    assert server.ask(what="count")[0] == 7


def test_its_death_is_one_line_and_the_next_question_starts_it_anew(server: Server) -> None:
    server.ask(what="count")
    with pytest.raises(ChildError, match="SIGFPE") as caught:
        server.ask(what="die")
    assert "\n" not in str(caught.value)
    assert server.ask(what="count")[0] == 6


def test_a_question_has_its_time() -> None:
    bounds = Bounds(seconds=4, nbytes=1 << 31)
    with contextlib.closing(Server(counter, {"start": 0}, bounds, "the count")) as server:
        with pytest.raises(ChildError, match="within 4 s"):
            server.ask(what="wait")
        assert server.ask(what="count")[0] == 1
