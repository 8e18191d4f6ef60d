"""How far the mean of what was measured may be from what it is in all: a bootstrap interval."""

from collections.abc import Sequence
from typing import Final

import numpy as np

RESAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95
SEED: Final = 0
AT_ONCE: Final = 1 << 22
"""Values of resamples that are in memory at once."""


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the BCa interval of the mean (Efron 1987): lower and upper end; None for fewer than two values."""
    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return values[0], values[0]
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.asarray(values, np.float64),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, AT_ONCE // len(values)),
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)
