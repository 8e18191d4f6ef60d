"""The rules as a page for people: ``python -m lwmport.targets.rules.document docs/targets/rules.md``."""

import sys
from pathlib import Path
from typing import Final

from lwmport import atomic
from lwmport.targets.rules import RULES
from lwmport.targets.rules.rule import Rule

TITLES: Final = {"ascend": "Ascend", "aipu": "Zhouyi (AIPU)", "migraphx": "MIGraphX", "cpu": "CPU"}
"""Target -> its heading; its own page has its name."""


def markdown() -> str:
    """Return the page: a table for each target."""
    parts = [
        "# Rules\n",
        "What `lwmport check` looks for. An error: the vendor's tool fails, or its numbers are wrong. A warning: it",
        "may. A note: good to know. `--fix` mends those that are marked, if the numbers stay. Made from the rules",
        "themselves by `python -m lwmport.targets.rules.document`.",
    ]
    for target, rules in RULES.items():
        parts += [
            f"\n## {TITLES[target]}\n",
            f"Page: [{target}.md]({target}.md).\n",
            "| rule | severity | about | formats | the vendor's tool | what to do | `--fix` | source |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *map(_row, rules),
        ]
    return "\n".join(parts) + "\n"


def _row(rule: Rule) -> str:
    forms = ", ".join(rule.forms)
    mark = "yes" if rule.fixable else ""
    cells = (rule.id, rule.severity, rule.title, forms, rule.vendor, rule.fix, mark, rule.source)
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    with atomic.new_file(Path(sys.argv[1])) as page:
        page.write(markdown().encode())
