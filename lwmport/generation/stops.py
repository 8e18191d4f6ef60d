"""Where an answer ends: at the first of some texts, which is left out."""

from collections.abc import Generator, Iterator, Sequence


def until(pieces: Iterator[str], stops: Sequence[str]) -> Generator[str, None, bool]:
    """Yield pieces of text up to the first of some texts; what may be the beginning of one waits.

    Returns:
        Whether one was found.
    """
    held = ""
    for piece in pieces:
        held += piece
        found = [place for stop in stops if (place := held.find(stop)) >= 0]
        if found:
            yield held[: min(found)]
            return True
        sure = len(held) - max((_begun(held, stop) for stop in stops), default=0)
        yield held[:sure]
        held = held[sure:]
    yield held
    return False


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of a text are the beginning of another one."""
    return next((count for count in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:count])), 0)
