"""Who is told how the work goes; the command line shows it, a library call may stay silent."""

from typing import Protocol


class Observer(Protocol):
    """Is told of every phase, and of the bytes that are written or read in it."""

    def phase(self, text: str) -> None:
        """Start a phase of the work, told in one line."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` bytes of the phase are through, ``name`` last."""


class Silent:
    """Tells nobody."""

    def phase(self, text: str) -> None:
        """Ignore it."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Ignore it."""


def tell_steps(observer: Observer, name: str, done: int, total: int) -> None:
    """Tell that ``done`` of ``total`` steps are through, each one of ``name``; who knows of bytes alone is told so."""
    getattr(observer, "steps", observer.progress)(name, done, total)
