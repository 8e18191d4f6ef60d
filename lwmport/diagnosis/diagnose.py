"""Why an operator gives other values than it should, as far as a rule can tell."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Diagnosis, Evidence
from lwmport.diagnosis.judging import EXPLAINED, Case
from lwmport.diagnosis.lighter import lighter
from lwmport.diagnosis.region import recognised
from lwmport.diagnosis.rules import RULES
from lwmport.diagnosis.suspicion import Suspicion, gives
from lwmport.diagnosis.unpacked import unpacked
from lwmport.types import Array

FITTED: Final = 0.005
"""What may be left of an error by a cause with a number that was fitted to it: almost any number fits a little."""

BETTER: Final = 10.0
"""How many times less the best explanation leaves than the best one of another word, if that explains the error too."""

GENERAL: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "wrong-order": frozenset({"unpermuted-query-key", "swapped-rotary-halves"}),
        "wrong-dtype": frozenset({"mask-overflow", "half-precision-positions"}),
    }
)
"""A word -> the more exact words for some of what it says, which are preferred where both explain an error."""


def diagnose(evidence: Evidence) -> Diagnosis | None:
    """Return why an error enters here, or None: a cause that is not known is an answer, a wrong one is a fault.

    What the file itself shows comes first: a difference between its operator and the right one that explains the error,
    or, where no formula is known for the operator, the only difference. Then each rule computes what its cause would
    give; the cause is believed if at most 5 % of the error is left, and if no other cause leaves as little.
    """
    with np.errstate(all="ignore"):  # infinities and NaN are among what is judged
        evidence = unpacked(recognised(evidence))
        case = Case(evidence)
        return (_seen(case) or _computed(Case(lighter(evidence)))) if case.size else None


def _seen(case: Case) -> Diagnosis | None:
    """Return the cause that the difference between both operators shows."""
    found = list(_suspicions(case, [rule.seen for rule in RULES.values()]))
    words = list(dict.fromkeys(one.cause for one in found))
    by_word = {word: [one for one in found if one.cause == word] for word in words}
    explained = {word: case.explained(some) for word, some in by_word.items()}
    right = [word for word in words if explained[word]]
    if not right and len(words) == 1 and explained[words[0]] is None:
        right = words
    return _said(by_word[right[0]]) if len(right) == 1 else None


def _computed(case: Case) -> Diagnosis | None:
    """Return the cause whose formula explains the error."""
    left: dict[str, tuple[float, Suspicion]] = {}
    if _is_one_value(case.evidence.observed):
        return None  # too many causes lose everything
    for one in _suspicions(case, [rule.computed for rule in RULES.values()]):
        if one.predicted is None and case.base is None:
            continue
        share = case.left(gives(case.expected, [one]))
        if share <= (FITTED if one.fitted else EXPLAINED) and share < left.get(one.cause, (1.0, one))[0]:
            left[one.cause] = (share, one)
    for word in [word for word in left if GENERAL.get(word, frozenset()) & set(left)]:
        del left[word]
    ranked = sorted(left.values(), key=lambda pair: pair[0])
    if not ranked or (len(ranked) > 1 and ranked[1][0] < BETTER * max(ranked[0][0], 1e-3)):
        return None
    share, best = ranked[0]
    return _said([best], f" This explains all but {100 * share:.2g} % of the error.")


def _is_one_value(values: Array) -> bool:
    return values.size > 1 and bool((values == values.flat[0]).all())


def _suspicions(case: Case, finders: Sequence[tuple[Callable[..., Iterator[Suspicion]], ...]]) -> Iterator[Suspicion]:
    for finder in dict.fromkeys(finder for some in finders for finder in some):
        yield from finder(case.evidence)


def _said(found: Sequence[Suspicion], proof: str = "") -> Diagnosis:
    rule = RULES[found[0].cause]
    facts = " ".join(dict.fromkeys(one.says for one in found[:2]))
    title = rule.title if rule.title.startswith("ln_") else rule.title[0].upper() + rule.title[1:]
    return Diagnosis(cause=found[0].cause, explanation=f"{title}: {facts}{proof} {rule.remedy}")
