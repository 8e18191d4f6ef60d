"""Frames that become pictures in a thread of their own, while their maker makes the next ones."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from lwmport.pipeline.talk.pictures import Pictures
from lwmport.types import Array

if TYPE_CHECKING:
    from collections.abc import Callable

WAITING: Final = 2
"""Runs of the decoder that wait, at most: a maker that is faster waits for it."""


class Decoding:
    """Decodes frames one run behind the other. A ``with`` block ends it: what waits is dropped then.

    A run has as many frames as the decoder takes, whoever is faster, so that pixels never depend on time.

    Args:
        pictures: of the model.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures, self._frames = pictures, list[Array]()
        self._runs = list[Future[Array]]()
        self._decode: Callable[[Array], Array] | None = None
        self._opened, self._pool = ExitStack(), ThreadPoolExecutor(1, "decoding")

    def add(self, codes: Array) -> None:
        """Take the codes of the next frame [height, width].

        Raises:
            PortError: an earlier frame could not be decoded.
        """
        self._frames.append(codes)
        if len(self._frames) == self._pictures.at_once:
            self._start()
        for run in self._runs[:-WAITING]:
            run.result()

    def pixels(self) -> Array:
        """Return all frames as pictures uint8 [frames, height, width, 3], when the last one is there.

        Raises:
            PortError: a frame could not be decoded.
        """
        if self._frames:
            self._start()
        return np.concatenate([run.result() for run in self._runs])

    def _start(self) -> None:
        self._runs.append(self._pool.submit(self._run, np.stack(self._frames)))
        self._frames = []

    def _run(self, codes: Array) -> Array:
        if self._decode is None:
            self._decode = self._opened.enter_context(self._pictures.decoder())
        return self._decode(codes)

    def __enter__(self) -> Self:
        """Return what decodes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the run that is under way, drop the others, and close the decoder."""
        self._pool.shutdown(cancel_futures=True)
        self._opened.close()
