"""What one run of the benchmark found, as Markdown that reads well in a terminal too, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from contenders import CONTENDERS
from nodes import Nodes
from processes import Cost
from races import Result
from tables import aligned, gigabytes

COST_HEADINGS = ("conversion of", "seconds, median", "peak memory", "of that anonymous", "nodes (functions opened)")
RACE_HEADINGS = ("seconds, median (best)", "ratio, median (min-max)", "max error", "indices that differ", "peak memory")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that was measured, and on what; and who could not take part, and why."""

    setting: Mapping[str, Any]
    costs: Mapping[str, Cost]
    nodes: Mapping[str, Mapping[str, Nodes]]
    results: Mapping[str, Mapping[str, Result]]
    left_out: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the findings as plain JSON values."""
        return asdict(self)


def markdown(findings: Findings) -> str:
    """Return the findings as Markdown."""
    parts = [_setting(findings)]
    for title, headings, rows in _tables(findings):
        parts.append(f"**{title}**\n\n{aligned([list(headings), *rows])}")
    parts += [f"Left out: {CONTENDERS[name].title}: {reason}" for name, reason in findings.left_out.items()]
    return "\n\n".join(parts) + "\n"


def _tables(findings: Findings) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    tables: list[tuple[str, Sequence[str], list[list[str]]]] = []
    if findings.costs:
        rows = [_cost_row(name, cost, findings.nodes.get(name, {})) for name, cost in findings.costs.items()]
        tables.append(("Conversion", COST_HEADINGS, rows))
    for half, results in findings.results.items():
        headings = ("run of the " + half, *RACE_HEADINGS)
        tables.append((half.capitalize(), headings, [_race_row(name, result) for name, result in results.items()]))
    return tables


def _cost_row(name: str, cost: Cost, nodes: Mapping[str, Nodes]) -> list[str]:
    counted = ", ".join(f"{half} {count}" for half, count in nodes.items())
    return [
        CONTENDERS[name].title,
        f"{cost.seconds:.1f}",
        gigabytes(cost.peak_bytes),
        gigabytes(cost.peak_anonymous_bytes),
        counted,
    ]


def _race_row(name: str, result: Result) -> list[str]:
    ratio, accuracy = result.ratio, result.accuracy
    return [
        CONTENDERS[name].title,
        f"{result.median_seconds:.3f} ({min(result.seconds):.3f})",
        f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})",
        f"{accuracy.max_error:.1e}",
        str(accuracy.differing_indices),
        gigabytes(result.peak_bytes),
    ]


def _setting(findings: Findings) -> str:
    own = findings.setting
    versions = ", ".join(f"{name} {version}" for name, version in own["versions"].items())
    return (
        f"Configuration {own['config']}, {own['threads']} threads of {own['cores']} cores, "
        f"medians of {own['rounds']} runs and {own['conversions']} conversions in turns, batch 1, "
        f"photograph {own['photograph']}. {own['processor']}, Python {own['python']}, {versions}."
    )
