"""Text made fit for a message, a terminal or a page: printable, and short whatever a file claims or a list holds."""

import re
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 120
"""Characters of a foreign name that a message shows."""

LONG_WORD: Final = re.compile(r"\S{600,}")
"""What no file of anybody is called."""

LONGEST_SENTENCE: Final = 2000
"""Characters of what is said of one thing; of a longer text the middle is left out."""

MOST: Final = 5
"""Names of a list that a message shows."""


def printable(text: str) -> str:
    r"""Return ``text`` with what a terminal would obey, or a reader not see, as escapes: ``\x1b``, ``\u202e``.

    That is all that Unicode does not count as printable: control characters, marks that turn the direction of text,
    spaces that are no space, characters that are none. Line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def few(names: Iterable[str], most: int = MOST) -> str:
    """Return the first names of a list and how many there are more: ``a, b, c, d, e and 12 more``."""
    found = list(names)
    rest = len(found) - most
    return ", ".join(found[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def shown(text: str) -> str:
    """Return a foreign name on one line: printable, cut to `LONGEST` characters."""
    escaped = printable(text[:LONGEST]).replace("\n", "\\n").replace("\t", "\\t")
    return escaped if len(escaped) <= LONGEST and len(text) <= LONGEST else f"{escaped[:LONGEST]}..."


def message(text: str) -> str:
    """Return a message that may hold foreign names: printable, and each word of it no longer than a long path."""
    return printable(LONG_WORD.sub(lambda found: f"{found.group()[:200]}...{found.group()[-100:]}", text))


def told(text: str) -> str:
    """Return a sentence that may hold foreign text: printable, and no longer than one reads."""
    if len(text) > LONGEST_SENTENCE:
        half = LONGEST_SENTENCE // 2
        text = f"{text[:half]} ... {len(text) - 2 * half:,} characters left out ... {text[-half:]}"
    return printable(text)


def kind_of(value: object) -> str:
    """Return what a value read from a file is, never its contents, which may be huge or refer to themselves."""
    if value is None:
        return "None"
    name = type(value).__name__.lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
