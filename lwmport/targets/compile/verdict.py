"""Signs that a tool failed, whichever vendor's it is."""

import re
from collections.abc import Mapping
from typing import Final

from lwmport.targets.compile.plan import Run, lines_of

LONGEST: Final = 300
"""Characters of a tool's line that a reason quotes."""

THROWN: Final = re.compile(r"^what\(\): *(?P<what>.+)$")
"""What a program of C++ says of an exception that nobody caught, before it aborts."""

SOURCE: Final = re.compile(r"^/?(?:[\w.+-]+/)+[\w.+-]+\.[a-z]{1,3}:\d+: *(?:\w+: )?")
"""Where in its own source a program says that it is: a file and a line."""

LAST_WORDS: Final = re.compile(r"(?:Aborted|Segmentation fault|Killed|terminate called)\b")
"""What a system or a library says when a program ends; the program itself has said more."""

KILLED: Final = (137, -9)
MISSING_LIBRARY: Final = "error while loading shared libraries"


def general(run: Run, hints: Mapping[str, str]) -> str:
    """Return what every tool's failure has in common, or an empty text: killed, a library missing, a known phrase.

    ``hints`` maps what a tool says to what is to be done about it.
    """
    if run.code in KILLED:
        return f"{run.step.name} was killed, as a system without free memory does; {hints.get('killed', '')}".rstrip(
            "; "
        )
    for line in lines_of(run.said):
        if MISSING_LIBRARY in line:
            return f"{quote(line)}; {hints.get('library', 'source the environment script of the SDK first')}"
    for phrase, fix in hints.items():
        found = next((line for line in lines_of(run.said) if phrase in line), "")
        if found:
            return f"{quote(_plain(found))}; {fix}"
    return ""


def absent(run: Run) -> str:
    """Return that the step left nothing behind though it should have, or an empty text."""
    if run.missing:
        first = run.missing[0].partition("|")[0]
        return f"{run.step.name} exited with {run.code} and wrote no {first}, or an empty one; see its log"
    return ""


def failed(run: Run) -> str:
    """Return that the step exited with a code other than 0 and the line that decides, or an empty text."""
    if run.code == 0:
        return ""
    return f"{run.step.name} exited with {run.code}: {quote(decisive(run.said)) or 'it said nothing'}"


def decisive(said: str) -> str:
    """Return what an exception says that nobody caught, else the last line that is a program's own."""
    lines = lines_of(said)
    thrown = [found["what"] for line in lines if (found := THROWN.match(line))]
    if thrown:
        return _plain(thrown[-1])
    own = [line for line in lines if not LAST_WORDS.match(line)]
    if own and LAST_WORDS.match(lines[-1]):
        return f"{own[-1]} - {lines[-1]}"
    return (own or lines or [""])[-1]


def _plain(line: str) -> str:
    """Return a line without the place in a program's own source that it comes from."""
    thrown = THROWN.match(line)
    return SOURCE.sub("", thrown["what"] if thrown else line)


def quote(line: str) -> str:
    """Return a tool's line, cut to what one line of ours may hold."""
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
