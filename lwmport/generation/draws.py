"""Random numbers by place: what is drawn for one row and step depends on the seed alone, and on no draw before it."""

from typing import Final

import numpy as np

from lwmport.types import Array

LARGEST_SEED: Final = 2**63 - 1


def gumbel(seed: int, step: int, row: int, count: int) -> Array:
    """Return numbers of the standard Gumbel distribution, float64 [count].

    The bits are Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), with the seed as
    key, and row and step as the upper words of the counter. ``argmax(logits + gumbel)`` then draws from
    ``softmax(logits)`` (Gumbel, 1954).
    """
    bits = np.random.Philox(key=seed, counter=[0, 0, step, row]).random_raw(count)
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # within 0 and 1, neither of them
    drawn: Array = -np.log(-np.log(uniform))
    return drawn
