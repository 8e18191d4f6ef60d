"""The pages of the rules say what the rules say."""

from pathlib import Path

import pytest

from lwmport.targets.registry import TARGETS
from lwmport.targets.rules.document import PAGES, markdown

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("place", PAGES)
def test_the_page_is_of_these_rules(place: str) -> None:
    page = DOCS / place
    text = page.read_text(encoding="utf-8")
    assert text == markdown(PAGES[place]), "run: python -m lwmport.targets.rules.document docs"
    assert all((page.parent / f"{name}.md").is_file() for name in TARGETS.table)
