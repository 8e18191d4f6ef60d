"""The table of causes: it and its page say the same, and every finder belongs to a word that it finds."""

import re
from pathlib import Path

import numpy as np
import pytest
from faults_of_tests import FAULTS
from operators_of_tests import OPERATORS, evidence

from lwmport.diagnosis.diagnose import diagnose
from lwmport.diagnosis.rules import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in row.strip("|").split("|")) for row in re.findall(r"^\| `.*\|$", PAGE, re.MULTILINE)
]


def test_the_page_has_the_rules() -> None:
    rows = {word.strip("`"): rest for word, *rest in ROWS}
    assert list(rows) == list(RULES)
    for word, rule in RULES.items():
        how = [name for name, finders in (("file", rule.seen), ("values", rule.computed)) if finders]
        assert rows[word] == [rule.title, rule.proves, ", ".join(how), rule.remedy]


@pytest.mark.parametrize("word", RULES)
def test_a_rule_can_be_proven_and_is_one_line(word: str) -> None:
    rule = RULES[word]
    assert rule.seen or rule.computed
    assert "\n" not in rule.title + rule.proves + rule.remedy
    assert rule.remedy.endswith(".")


@pytest.mark.parametrize("word", FAULTS)
def test_an_explanation_has_the_words_of_the_rule_and_says_what_to_do(word: str) -> None:
    random = np.random.default_rng(5)
    for name, build in OPERATORS.items():
        right = build(random)
        for wrong in FAULTS[word](right, random):
            found = diagnose(evidence(name, right, wrong))
            if found is not None:
                assert RULES[word].title in found.explanation[0].lower() + found.explanation[1:]
                assert found.explanation.endswith(RULES[word].remedy)
                return
    pytest.fail("no such fault was explained")
