"""Filters of an index without a script: a choice hides the rows of other classes, by rules of the page's own style."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.reports.ports import PortRow

AXES: Final[Mapping[str, Callable[[PortRow], str]]] = {
    "Verdict": lambda row: str(row.status),
    "Component": lambda row: row.component,
    "Format": lambda row: row.format,
    "Dialect": lambda row: row.dialect,
    "Precision": lambda row: row.precision,
    "Target": lambda row: row.target,
    "Chip": lambda row: row.soc,
}
"""What rows can be chosen by -> its value in a row."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One choice: its name, its id on the page, and the values with the classes of their rows."""

    name: str
    key: str
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The choices that tell rows apart, the classes of each row by its name, and the rules that hide rows."""

    filters: tuple[Filter, ...]
    classes: Mapping[str, str]
    style: str


def filters_of(rows: tuple[PortRow, ...]) -> Filters:
    """Return the filters of an index; what is the same in all rows has none."""
    found = [_filter(name, rows) for name in AXES if len({AXES[name](row) for row in rows}) > 1]
    classes = {row.name: " ".join(one.values[AXES[one.name](row)] for one in found) for row in rows}
    rules = [
        f'body:has(#{one.key} option[value="{style}"]:checked) .job:not(.{style}) {{ display: none; }}'
        for one in found
        for style in one.values.values()
    ]
    return Filters(filters=tuple(found), classes=classes, style="\n".join(rules))


def _filter(name: str, rows: tuple[PortRow, ...]) -> Filter:
    key = f"by-{name.lower()}"
    values = dict.fromkeys(AXES[name](row) for row in rows)
    return Filter(name=name, key=key, values={value: f"{key}-{number}" for number, value in enumerate(values)})
