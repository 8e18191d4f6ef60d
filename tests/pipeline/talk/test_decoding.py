"""Frames decoded beside their maker: the pixels of one that decodes alone, bounded, and errors that reach the maker."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.errors import RunnerError
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.talk import decoding
from lwmport.pipeline.talk.decoding import Decoding
from lwmport.pipeline.talk.painting import paint
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.types import Array


class Slow:
    """Pictures of which each frame waits until it is let through."""

    def __init__(self, at_once: int = 1) -> None:
        self.at_once = at_once
        self.go = threading.Semaphore(0)
        self.runs: list[int] = []
        self.closed = False

    def wait(self) -> None:
        """Wait for the first run."""
        while not self.runs:
            time.sleep(0.001)

    @contextmanager
    def decoder(self) -> Iterator[Callable[[Array], Array]]:
        def decode(codes: Array) -> Array:
            self.go.acquire()
            self.runs.append(len(codes))
            if codes.min() < 0:
                raise RunnerError("the runtime failed")
            return np.asarray(codes, np.uint8)

        yield decode
        self.closed = True


def frame(value: int) -> Array:
    return np.full((2, 2), value)


def test_pixels_are_those_of_one_frame_after_the_other(model: Path) -> None:
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    pictures = Pictures(open_package(model))
    codes = np.random.default_rng(0).integers(0, 8192, (4, 16, 16))
    with Decoding(pictures) as made:
        for one in codes:
            made.add(one)
        found = made.pixels()
    with pictures.decoder() as decode:
        np.testing.assert_array_equal(found, np.concatenate([decode(one[None]) for one in codes]))


def test_frames_of_a_run_are_those_that_the_decoder_takes() -> None:
    slow = Slow(at_once=2)
    slow.go.release(9)
    with Decoding(slow) as made:  # type: ignore[arg-type]
        for value in range(5):
            made.add(frame(value))
        assert made.pixels()[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert slow.runs == [2, 2, 1]
    assert slow.closed


def test_a_fast_maker_waits_and_an_error_reaches_it() -> None:
    slow = Slow()
    with Decoding(slow) as made:  # type: ignore[arg-type]
        for _ in range(decoding.WAITING):
            made.add(frame(1))
        waiting = threading.Thread(target=made.add, args=(frame(-1),))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        slow.go.release(9)
        waiting.join()
        made.add(frame(1))
        with pytest.raises(RunnerError, match="the runtime failed"):
            made.add(frame(1))
    assert slow.closed


def test_who_gives_up_ends_the_thread_and_closes_the_decoder() -> None:
    slow = Slow()
    slow.go.release(9)

    def give_up() -> None:
        with Decoding(slow) as made:  # type: ignore[arg-type]
            made.add(frame(1))
            slow.wait()
            made.add(frame(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()
    assert slow.closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decoding")]


def test_a_frame_that_cannot_be_decoded_ends_a_video_and_nothing_is_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    slow = Slow()
    slow.go.release(99)

    @contextmanager
    def broken(_: Any) -> Iterator[Callable[[Array], Array]]:
        with slow.decoder() as decode:
            yield lambda codes: decode(codes - 10000)

    monkeypatch.setattr(Pictures, "decoder", broken)
    with pytest.raises(RunnerError, match="the runtime failed"):
        paint(model=model, out=tmp_path / "v.mp4", prompt="a", frames=2)
    assert not list(tmp_path.iterdir())
