"""The page of the rules says what the rules say."""

from pathlib import Path

from lwmport.targets.registry import TARGETS
from lwmport.targets.rules.document import markdown

PAGE = Path(__file__).parents[3] / "docs" / "targets" / "rules.md"


def test_the_page_is_of_these_rules() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == markdown(), "run: python -m lwmport.targets.rules.document docs/targets/rules.md"
    assert all((PAGE.parent / f"{name}.md").is_file() for name in TARGETS.table)
