"""How benchmarks print: Markdown that reads well in a terminal too, and the machine that the numbers are of."""

import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTIONS = (
    "lwmport",
    "jax",
    "jaxlib",
    "flax",
    "onnxruntime",
    "torch",
    "onnxscript",
    "jax2onnx",
    "onnx",
    "numpy",
    "transformers",
    "onnxruntime-genai",
    "optimum-onnx",
    "gguf",
    "llama-cpp-python",
    "openvino",
    "nncf",
    "polygraphy",
)


def machine() -> dict[str, Any]:
    """Return the processor and the versions that a number may depend on."""
    python, versions = python_and_versions()
    return {"processor": _processor(), "python": python, "versions": versions}


def python_and_versions() -> tuple[str, dict[str, str]]:
    """Return this Python's version, and those of the packages that take part."""
    return platform.python_version(), _versions()


def aligned(rows: Sequence[Sequence[str]]) -> str:
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


def gigabytes(count: int) -> str:
    """Return bytes as decimal gigabytes."""
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
