"""How near a compiled model is to its artifact: numbers by their error, integers by how many of them differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.types import Array, TensorSpec
from lwmport.validators.indices import equal_share
from lwmport.validators.promise import broken
from lwmport.validators.values import sqnr_db

LEAST_DB: Final = {"float32": 60.0, "bfloat16": 20.0, "int8": 20.0}
"""The least signal-to-noise ratio against the artifact itself, on samples. Another order of sums costs float32 some
digits of its 140 dB, bfloat16 has 8 bits, and so has a model that is quantised already, whose every value two engines
may round to neighbouring steps: 39 to 43 dB, measured on five layers. What is lost beyond is a compiler's mistake. How
accurate the result is, is for ``lwmport validate`` to say."""

LEAST_EQUAL: Final = {"float32": 1.0, "bfloat16": 0.9, "int8": 0.9}
"""The least share of integers that are equal: 8 bits move values over the edge between two codes, now and then."""

STEPS: Final = ("int8", "uint8")
"""Outputs of a quantised model in these dtypes are numbers, in steps of its scale."""

SHARE: Final = {"float32": 1e-4, "bfloat16": 1e-2, "int8": 2e-2}
"""Where the range of an output is known (a probability): the root mean square error that is allowed, as a share of it.
Below 10 times as much an output says nothing: a detector that finds nothing gives numbers near 0, and an error that
means nothing is a large part of them."""

NOT_JUDGED: Final = "not judged: "


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why an output is wrong, if it is. ``moved``: some integers differ; ``follows``: numbers that may follow.

    ``left`` says what of the output was not judged, for the artifact itself has no finite number there. ``small``: it
    was not judged, for it is next to nothing on these samples.
    """

    detail: str
    reason: str = ""
    moved: bool = False
    follows: bool = False
    left: str = ""
    small: bool = False


def together(runs: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the outputs of several runs as one: behind each other where their shapes allow it, else by run."""
    if len(runs) == 1:
        return dict(runs[0])
    found: dict[str, Array] = {}
    for name in runs[0]:
        arrays = [run[name] for run in runs if name in run]
        if len({array.shape for array in arrays}) == 1 and len(arrays) == len(runs):
            found[name] = np.stack(arrays)
        else:
            found |= {f"{name} of run {number}": run[name] for number, run in enumerate(runs) if name in run}
    return found


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What all outputs come to: why one is wrong, or else how near they are, in words; and a detail of each."""

    reason: str
    words: str
    details: Mapping[str, str]


def agreement(
    artifact: str,
    expected: Mapping[str, Array],
    found: Mapping[str, Array],
    precision: str,
    scales: Mapping[str, float] | None = None,
) -> Agreement:
    """Return how near the outputs of a compiled model are to those of the artifact with this file name.

    ``precision`` is what the compiled model computes in: int8 for an artifact that is quantised already.

    Two kinds of numbers are not judged: those that may follow from integers that changed, and those that are NaN or
    infinite in the artifact's own output. The samples may be ones that the model is not made for. ``scales`` are the
    largest magnitudes of outputs whose range is known.
    """
    known = scales or {}
    verdicts = {
        name: compare(name, array, found.get(name), precision, known.get(name, 0.0)) for name, array in expected.items()
    }
    small = [name for name, verdict in verdicts.items() if verdict.small]
    changed = [name for name, verdict in verdicts.items() if verdict.moved]
    follows = [name for name, verdict in verdicts.items() if changed and verdict.follows]
    details = {
        name: f"{NOT_JUDGED}{verdict.detail}" if name in follows else verdict.detail
        for name, verdict in verdicts.items()
    }
    wrong = (verdict.reason for name, verdict in verdicts.items() if verdict.reason and name not in follows)
    left = [verdict.left for verdict in verdicts.values() if verdict.left]
    if follows:
        words = f"; {NOT_JUDGED}{', '.join(follows)}, for integers of {', '.join(changed)} changed that they may follow"
    elif all(verdict.left == name or verdict.small for name, verdict in verdicts.items()):
        words = ""
    else:
        but = f", but for some integers of {', '.join(changed)}" if changed else ""
        words = f" and agrees with {artifact} on samples{but}"
    if left:
        words += f"; {NOT_JUDGED}{', '.join(left)}, not finite in the output of {artifact} itself on these samples"
    if small:
        words += f"; {NOT_JUDGED}{', '.join(small)}, next to 0 of its range on these samples; give --inputs"
    return Agreement(reason=next(wrong, ""), words=words, details=details)


def compare(name: str, expected: Array, found: Array | None, precision: str, scale: float = 0.0) -> Verdict:
    """Return how near an output is to the artifact's own; ``scale`` is its largest magnitude, 0 if unknown."""
    reason = broken(TensorSpec(name=name, shape=expected.shape, dtype=str(expected.dtype)), found)
    if found is None or reason:
        return Verdict(reason=reason, detail="wrong")
    if np.issubdtype(expected.dtype, np.floating) or (precision == "int8" and expected.dtype.name in STEPS):
        return _numbers(name, expected, found, LEAST_DB[precision], SHARE[precision] * scale)
    share = equal_share(expected, found)
    low = share < LEAST_EQUAL[precision]
    wanted = f", expected at most {1 - LEAST_EQUAL[precision]:.0%}"
    reason = f"{name}: {1 - share:.2%} of the integers differ{wanted}" if low else ""
    return Verdict(reason=reason, detail=f"{share:.2%} equal", moved=share < 1)


def _numbers(name: str, expected: Array, found: Array, least: float, allowed: float) -> Verdict:
    judged, size = np.isfinite(expected), expected.size
    lost = int(np.count_nonzero(judged & ~np.isfinite(found)))
    if lost:
        reason = f"{name}: {lost:,} of {size:,} values are not finite, expected numbers as in the artifact's own output"
        return Verdict(reason=reason, detail=f"{lost:,} of {size:,} values are not finite")
    open_ = size - int(np.count_nonzero(judged))
    if open_ and open_ == size:
        return Verdict(detail=f"{NOT_JUDGED}the artifact's own output is not finite", left=name)
    if open_:
        expected, found = expected[judged], found[judged]
    left = f"{open_:,} of {size:,} values of {name}" if open_ else ""
    ratio = sqnr_db(expected, found)
    detail = ("equal" if ratio == math.inf else f"{ratio:.1f} dB") + (
        f", {open_:,} of {size:,} not judged" * bool(left)
    )
    if allowed and ratio < least and _root(found.astype(np.float64) - expected) <= allowed:
        if _root(expected) < 10 * allowed:
            return Verdict(detail=f"{NOT_JUDGED}{detail}, but next to 0 of its range", left=left, small=True)
        return Verdict(detail=f"{detail}, within {allowed:g} of its range", left=left)
    if ratio >= least:
        return Verdict(detail=detail, left=left)
    reason = f"{name}: {ratio:.1f} dB from the artifact's own output, expected at least {least:.0f} dB"
    return Verdict(reason=reason, detail=detail, follows=True, left=left)


def _root(array: Array) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(array.astype(np.float64)).mean())) if array.size else 0.0
