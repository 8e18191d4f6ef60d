"""A cause that is suspected, and what the operator would give if it were the cause."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.table import compute
from lwmport.types import Array


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """One cause that may be the right one.

    Attributes:
        cause: the word of its rule.
        says: the facts, a sentence: what was found and what is right.
        change: makes of the right operator the one that is suspected.
        predicted: computes what it would give, where no change of the operator says that.
        fitted: whether a number in it was chosen to fit the error.
    """

    cause: str
    says: str
    change: Callable[[Side], Side] | None = None
    predicted: Callable[[], Array | None] | None = None
    fitted: bool = False


def gives(expected: Side | None, suspicions: Sequence[Suspicion]) -> Array | None:
    """Return what an operator would give with all these changes at once, None where no formula says it."""
    if len(suspicions) == 1 and suspicions[0].predicted is not None:
        return suspicions[0].predicted()
    side = expected
    for one in suspicions:
        if one.change is None or side is None:
            return None
        side = one.change(side)
    return None if side is None else compute(side)


def both(evidence: Evidence) -> tuple[Side, Side] | None:
    """Return the operator of both sides, or None if one is not known."""
    expected, found = evidence.expected, evidence.found
    return None if expected is None or found is None else (expected, found)
