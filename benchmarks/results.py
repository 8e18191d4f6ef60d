"""What one run of the benchmark found, as Markdown that reads well in a terminal too, and as JSON."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from contenders import CONTENDERS
from nodes import Nodes
from processes import Cost
from races import Result

DISTRIBUTIONS = ("lwmport", "jax", "jaxlib", "flax", "onnxruntime", "torch", "onnxscript", "jax2onnx", "onnx", "numpy")
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


def machine() -> dict[str, Any]:
    """Return the processor and the versions that a number may depend on."""
    return {"processor": _processor(), "python": platform.python_version(), "versions": _versions()}


def markdown(findings: Findings) -> str:
    """Return the findings as Markdown."""
    parts = [_setting(findings)]
    for title, headings, rows in _tables(findings):
        parts.append(f"**{title}**\n\n{_aligned([list(headings), *rows])}")
    parts += [f"Left out: {CONTENDERS[name].title}: {reason}" for name, reason in findings.left_out.items()]
    return "\n\n".join(parts) + "\n"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first row is the heading: names to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    padded = [
        [
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    rule = ["-" * (width - 1) + (":" if number else "-") for number, width in enumerate(widths)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [padded[0], rule, *padded[1:]])


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
        _gigabytes(cost.peak_bytes),
        _gigabytes(cost.peak_anonymous_bytes),
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
        _gigabytes(result.peak_bytes),
    ]


def _setting(findings: Findings) -> str:
    own = findings.setting
    versions = ", ".join(f"{name} {version}" for name, version in own["versions"].items())
    return (
        f"Configuration {own['config']}, {own['threads']} threads of {own['cores']} cores, "
        f"medians of {own['rounds']} runs and {own['conversions']} conversions in turns, batch 1, "
        f"photograph {own['photograph']}. {own['processor']}, Python {own['python']}, {versions}."
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
