"""Text from a file, made fit for a message, a terminal or a page: printable, and short whatever the file claims."""

from typing import Final

LONGEST: Final = 120
"""Characters of a foreign name that a message shows."""

LONGEST_SENTENCE: Final = 2000
"""Characters of what is said of one thing; of a longer text the middle is left out."""


def printable(text: str) -> str:
    r"""Return ``text`` with what a terminal would obey, or a reader not see, as escapes: ``\x1b``, ``\u202e``.

    That is all that Unicode does not count as printable: control characters, marks that turn the direction of text,
    spaces that are no space, characters that are none. Line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def shown(text: str) -> str:
    """Return a foreign name on one line: printable, cut to `LONGEST` characters."""
    escaped = printable(text[:LONGEST]).replace("\n", "\\n").replace("\t", "\\t")
    return escaped if len(escaped) <= LONGEST and len(text) <= LONGEST else f"{escaped[:LONGEST]}..."


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
