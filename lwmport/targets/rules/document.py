"""The rules as a page for people: ``python -m lwmport.targets.rules.document docs/targets/rules.md``."""

import sys
from pathlib import Path

from lwmport import atomic
from lwmport.targets.registry import TARGETS
from lwmport.targets.rules.rule import Rule


def markdown() -> str:
    """Return the page: a table for each target."""
    parts = [
        "# Rules\n",
        "What `lwmport check` looks for. An error: the vendor's tool fails, or its numbers are wrong. A warning: it",
        "may. A note: good to know. `--fix` mends those that are marked, if the numbers stay. Made from the rules",
        "themselves by `python -m lwmport.targets.rules.document`.",
    ]
    for name in TARGETS.table:  # those of other packages have pages of their own
        target = TARGETS[name]
        parts += [
            f"\n## {target.title}\n",
            f"Page: [{name}.md]({name}.md).\n",
            "| rule | severity | about | formats | the vendor's tool | what to do | `--fix` | source |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *map(_row, target.rule_table),
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
