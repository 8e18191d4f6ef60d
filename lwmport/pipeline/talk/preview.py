"""The picture so far, row by row, for an observer that can show one."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from lwmport.pipeline.observer import Observer
from lwmport.pipeline.talk.pictures import Pictures

if TYPE_CHECKING:
    from lwmport.types import Array

SHARE: Final = 4.0
"""Seconds between two pictures for each second that one takes: what is shown costs a fifth of the time at most."""


class Preview:
    """Shows a picture that is being made, where the observer has a ``picture(pixels)``; nothing is decoded elsewhere.

    A ``with`` block closes what decodes, which is opened for the first row.

    Args:
        pictures: of the model.
        observer: is told the pixels of the rows that are there, uint8 [height so far, width, 3].
    """

    def __init__(self, pictures: Pictures, observer: Observer) -> None:
        self._pictures = pictures
        self._show: Callable[[Array], None] | None = getattr(observer, "picture", None)
        self._decode: Callable[[Array], Array] | None = None
        self._opened = ExitStack()
        self._cost, self._last = 0.0, -float("inf")

    def row(self, codes: Sequence[int], side: int) -> None:
        """Show the rows of a frame that are complete, if one has just become so and the last picture is old enough.

        Args:
            codes: of the frame so far.
            side: codes of a row, and rows.
        """
        rows, rest = divmod(len(codes), side)
        started = time.perf_counter()
        if self._show is None or rest or not 0 < rows <= side or started - self._last < SHARE * self._cost:
            return
        if self._decode is None:
            self._decode = self._opened.enter_context(self._pictures.decoder())
        filled = np.minimum(np.resize(np.asarray(codes, np.int64), side * side), self._pictures.count - 1)
        (pixels,) = self._decode(filled.reshape(1, side, side))
        self._show(pixels[: max(1, len(pixels) * rows // side)])
        self._last = time.perf_counter()
        self._cost = self._last - started

    def __enter__(self) -> Self:
        """Return what shows."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what decodes."""
        self._opened.close()
