"""Every kind of fault on every operator where it makes sense: the right word, or none, never another."""

import numpy as np
import pytest
from faults_of_tests import FAULTS
from operators_of_tests import OPERATORS, evidence

from lwmport.diagnosis.diagnose import diagnose
from lwmport.diagnosis.rules import RULES

SEEDS = (0, 1)
ONLY_BY_VALUE = {"argmin-near-tie", "narrow-accumulator"}
"""Words that no change of an operator makes; `test_computed` has them."""


def told(name: str, word: str, seed: int, *, seen: bool) -> list[str | None]:
    """Return what is said of each fault of a kind that an operator can have."""
    random = np.random.default_rng([seed, *name.encode()])
    right = OPERATORS[name](random)
    cases = [evidence(name, right, wrong, seen=seen) for wrong in FAULTS[word](right, random)]
    differ = [one for one in cases if not np.array_equal(one.reference, one.observed)]
    return [None if (found := diagnose(one)) is None else found.cause for one in differ]


@pytest.mark.parametrize("name", OPERATORS)
def test_a_fault_that_the_file_shows_gets_its_word(name: str) -> None:
    for seed in SEEDS:
        for word in FAULTS:
            found = told(name, word, seed, seen=True)
            assert set(found) <= {word}, (seed, word, found)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_fault_that_values_show_gets_its_word_or_none(name: str) -> None:
    for word in FAULTS:
        found = told(name, word, SEEDS[0], seen=False)
        assert set(found) <= {word, None}, (word, found)


def test_every_word_is_planted() -> None:
    assert set(FAULTS) | ONLY_BY_VALUE == set(RULES)
    for word in FAULTS:
        assert any(told(name, word, 0, seen=True) for name in OPERATORS), word
