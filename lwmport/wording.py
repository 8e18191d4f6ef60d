"""Text made fit for one line of a message: printable, and short whatever a file claims or a list holds."""

from collections.abc import Iterable

LONGEST = 120
"""Characters of a foreign name that a message shows."""

MOST = 5
"""Names of a list that a message shows."""


def few(names: Iterable[str], most: int = MOST) -> str:
    """Return the first names of a list and how many there are more: ``a, b, c, d, e and 12 more``."""
    found = list(names)
    rest = len(found) - most
    return ", ".join(found[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def shown(text: str) -> str:
    """Return ``text`` with control characters escaped, cut to `LONGEST` characters."""
    escaped = text[:LONGEST].encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= LONGEST and len(text) <= LONGEST else f"{escaped[:LONGEST]}..."


def kind_of(value: object) -> str:
    """Return what a value read from a file is, never its contents, which may be huge or refer to themselves."""
    if value is None:
        return "None"
    name = type(value).__name__.lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
