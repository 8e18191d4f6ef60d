"""Relative errors of weights rounded to 4 bits by each method, on made-up values: the table in docs/quantisation.md.

``python benchmarks/rounding.py``
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.models.schemes import CALIBRATED
from lwmport.quantise.methods import METHODS
from lwmport.quantise.rounding import codes_of, values_of
from lwmport.types import Array

COUNT: Final = 1 << 21
CHANNELS: Final = 512


def values() -> Iterator[tuple[str, Array]]:
    """Yield the name and the values of each distribution."""
    random = np.random.default_rng(0)
    yield "normal", random.standard_normal(COUNT).astype(np.float32)
    yield "heavy-tailed (Student, 4 degrees)", random.standard_t(4, COUNT).astype(np.float32)


def relative_error(array: Array, group: int, method: str) -> float:
    """Return the root of the squared errors over that of the squared values."""
    grouped = array.reshape(-1, group, CHANNELS)
    grid = METHODS[method](grouped, 1, 4, symmetric=True)
    error = values_of(codes_of(grouped, grid, 4), grid) - grouped
    return float(np.sqrt(np.square(error, dtype=np.float64).sum() / np.square(grouped, dtype=np.float64).sum()))


def main() -> None:
    """Print the table."""
    methods = [method for method in METHODS if method not in CALIBRATED]
    print(f"| values | group | {' | '.join(methods)} |")
    print(f"|{' --- |' * (2 + len(methods))}")
    for name, array in values():
        for group in (32, 128):
            errors = " | ".join(f"{relative_error(array, group, method):.3f}" for method in methods)
            print(f"| {name} | {group} | {errors} |")


if __name__ == "__main__":
    main()
