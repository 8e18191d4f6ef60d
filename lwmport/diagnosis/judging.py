"""Whether a suspicion explains an error: what it predicts is held against what was observed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.table import compute
from lwmport.diagnosis.roles import MASKING
from lwmport.diagnosis.suspicion import Suspicion, gives
from lwmport.types import Array

EXPLAINED: Final = 0.05
"""What may be left of an error that is explained, as a share of it, both as root mean squares."""

ALIKE: Final = 1e-5
"""Relative difference of two values that rounding explains, where an error has no size, being infinite somewhere."""

TINY: Final = 1e-2
"""The share of the largest magnitude below which an element's own difference says less."""


@dataclass(frozen=True)
class Case:
    """An error that is to be explained, with what is needed of it once."""

    evidence: Evidence

    @property
    def expected(self) -> Side | None:
        """Return the right operator."""
        return self.evidence.expected

    @cached_property
    def reference(self) -> Array:
        """Return what is right, in float64."""
        return self.evidence.reference.astype(np.float64)

    @cached_property
    def error(self) -> Array:
        """Return what was observed less what is right, in float64, of one shape; NaN where they are not finite."""
        return self.evidence.observed.astype(np.float64) - self.reference

    @cached_property
    def size(self) -> float:
        """Return the root mean square of the error, 0 where nothing differs."""
        reference, observed = self.evidence.reference, self.evidence.observed
        if reference.shape != observed.shape:
            return np.inf
        numbers = reference.dtype.kind in "fV"
        return 0.0 if np.array_equal(observed, reference, equal_nan=numbers) else norm(self.error)

    @cached_property
    def rounding(self) -> float:
        """Return the largest difference that rounding explains."""
        dtype = self.evidence.reference.dtype
        least = 2 * float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
        finite = self.reference[np.isfinite(self.reference)]
        return max(self.evidence.rounding, least) * float(np.abs(finite).max(initial=0))

    @cached_property
    def base(self) -> Array | None:
        """Return what the formula gives for the right operator, None if it is not what the reference gives.

        A formula that does not give the reference back, to less than a twentieth of the error, understands the operator
        wrongly, and says nothing about it.
        """
        found = None if self.expected is None else compute(self.expected)
        if found is None or found.size != self.reference.size:
            return None
        left = found.reshape(self.reference.shape) - self.reference
        left = np.where(np.isnan(left) & ~np.isfinite(self.reference), 0, left)
        limit = max(EXPLAINED * self.size if np.isfinite(self.size) else 0, 4 * self.rounding, 1e-12)
        return found.reshape(self.reference.shape) if norm(left) <= limit else None

    def left(self, predicted: Array | None) -> float:
        """Return what a prediction leaves of the error, as a share of it; infinite if it predicts another shape."""
        if predicted is None or predicted.size != self.evidence.observed.size or not self.size:
            return np.inf
        predicted = predicted.reshape(self.evidence.observed.shape).astype(np.float64)
        if not np.isfinite(self.size):
            return _left_not_finite(predicted, self.evidence.observed.astype(np.float64))
        base = self.reference if self.base is None else self.base
        rest = self.error - (predicted - base)
        if not np.isfinite(rest).all():
            return np.inf
        observed = self.evidence.observed
        return max(_share(rest[part], self.error[part], observed[part]) for part in self._parts if part.any())

    @cached_property
    def _parts(self) -> tuple[Array, ...]:
        """Return the values that a mask hides and the others: beside 1e38 no error of another value counts."""
        hidden = np.maximum(np.abs(self.reference), np.abs(self.evidence.observed)) >= MASKING
        return hidden, ~hidden

    def explained(self, suspicions: Sequence[Suspicion]) -> bool | None:
        """Return whether changes explain the error, up to rounding; None where no formula says what they give."""
        formula = len(suspicions) == 1 and suspicions[0].predicted is not None
        if self.expected is None or (self.base is None and not formula):
            return None
        predicted = gives(self.expected, suspicions)
        if predicted is None:
            return None
        if predicted.size != self.evidence.observed.size:
            return False
        return self.left(predicted) <= EXPLAINED or self._rounded(predicted)

    def _rounded(self, predicted: Array) -> bool:
        """Return whether what was observed is what is predicted, but for rounding."""
        observed = self.evidence.observed.astype(np.float64)
        if self.base is None or observed.shape != self.reference.shape:
            return False
        predicted = predicted.reshape(observed.shape)
        near = np.abs(observed - predicted) <= self.rounding
        return bool(near.all()) and bool((predicted != self.base).any())


def norm(x: Array) -> float:
    """Return the root mean square, infinite where an element is not finite."""
    if not x.size:
        return 0.0
    found = float(np.sqrt(np.mean(np.square(x))))
    return found if np.isfinite(found) else np.inf


def _share(rest: Array, error: Array, observed: Array) -> float:
    """Return what is left of an error, as a share of it or of what was observed, whichever is less.

    Where nearly nothing is left of an output, much explains the error, and little what was observed.
    """
    size, left = min(norm(error), norm(observed.astype(np.float64))), norm(rest)
    if not size:
        return 0.0 if not left else np.inf
    return left / size


def _left_not_finite(predicted: Array, observed: Array) -> float:
    """Return 0 if infinities and NaN are where they were predicted and the rest is alike, else infinity."""
    same = (predicted == observed) | (np.isnan(predicted) & np.isnan(observed))
    finite = np.isfinite(predicted) & np.isfinite(observed)
    if not (same | finite).all():
        return np.inf
    scale = float(np.abs(predicted[finite]).max(initial=0))
    alike = np.abs(predicted - observed)[finite] <= ALIKE * np.abs(predicted[finite]) + ALIKE * TINY * scale
    return 0.0 if alike.all() else np.inf
