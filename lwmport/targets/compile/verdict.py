"""Signs that a tool failed, whichever vendor's it is."""

from collections.abc import Mapping
from typing import Final

from lwmport.targets.compile.plan import Run, lines_of

LONGEST: Final = 300
"""Characters of a tool's line that a reason quotes."""

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
            return f"{quote(found)}; {fix}"
    return ""


def absent(run: Run) -> str:
    """Return that the step left nothing behind though it should have, or an empty text."""
    if run.missing:
        first = run.missing[0].partition("|")[0]
        return f"{run.step.name} exited with {run.code} and wrote no {first}, or an empty one; see its log"
    return ""


def failed(run: Run) -> str:
    """Return that the step exited with a code other than 0 and its last line, or an empty text."""
    if run.code == 0:
        return ""
    said = lines_of(run.said)
    return f"{run.step.name} exited with {run.code}: {quote(said[-1]) if said else 'it said nothing'}"


def quote(line: str) -> str:
    """Return a tool's line, cut to what one line of ours may hold."""
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
