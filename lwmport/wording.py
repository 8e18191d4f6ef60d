"""Text from a file, made fit for one line of a message: printable, and short whatever the file claims."""

LONGEST = 120
"""Characters of a foreign name that a message shows."""


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
