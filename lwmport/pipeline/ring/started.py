"""What all who start the other ranks have in common: they are ended with the block that they work in."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self

from lwmport.errors import LostRankError

LEAVING: Final = 10.0
"""Seconds for ranks to end that were told so; those that have not are killed."""


class StartedRanks(ABC):
    """The ranks from 1 on, which end with the ``with`` block."""

    def __enter__(self) -> Self:
        """Return the ranks."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the ranks.

        Raises:
            LostRankError: one was lost; this says which.
        """
        try:
            if isinstance(error, LostRankError):
                raise LostRankError(self._lost(str(error))) from error
        finally:
            self._end(LEAVING if error is None else 0)

    @abstractmethod
    def _lost(self, otherwise: str) -> str:
        """Return in one line which rank is gone and why; ``otherwise`` where all are still there."""

    @abstractmethod
    def _end(self, seconds: float) -> None:
        """Wait so long for the ranks to end by themselves, and end those that have not."""
