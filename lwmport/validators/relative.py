"""How far apart two tensors are of which nothing is known: over the largest value, and at each single element.

A tolerance of `lwmport.validators.tolerances` belongs to an output of a known model, in known units. A model of someone
else's has neither. So the error is measured against the values themselves, and what is no number in both, at the same
places, is left out: a mask of minus infinity is as good after a change as before it.
"""

from typing import Final

import numpy as np

from lwmport.types import Array

SMALLER: Final = 0.05
"""The quantile of the magnitudes that are not 0 that an element is measured by where it is smaller than most."""

LEAST: Final = 1e-6
"""The share of the largest magnitude that this quantile counts as at least: weights of a softmax may be denormal."""


def peak_error(reference: Array, candidate: Array) -> float:
    """Return the largest error over the largest value; infinite where shapes, integers or what is finite differ.

    What is no number in both, at the same places, is left out as long as some numbers remain: the logarithm of a random
    input is NaN now and then.
    """
    if reference.shape != candidate.shape:
        return float("inf")
    if not is_float(reference):
        return 0.0 if np.array_equal(reference, candidate.astype(reference.dtype)) else float("inf")
    numbers = _numbers(reference, candidate)
    if numbers is None:
        return float("inf")
    one, other = numbers
    largest = float(np.abs(one).max(initial=0.0))
    error = float(np.abs(one - other).max(initial=0.0))
    return error / largest if largest else error


def element_error(reference: Array, candidate: Array, absolute: float, relative: float) -> float:
    """Return the largest error of an element over what is allowed there; infinite where `peak_error` is.

    Args:
        reference: any shape, any dtype.
        candidate: the same shape.
        absolute: a share of the `SMALLER` quantile of the magnitudes.
        relative: a share of the element. Their sum is what is allowed.
    """
    if not np.isfinite(peak_error(reference, candidate)):
        return float("inf")
    if not is_float(reference) or not reference.size:
        return 0.0
    one, other = _numbers(reference, candidate) or (np.zeros(0), np.zeros(0))
    sizes = np.abs(one)
    some = sizes[sizes > 0]
    smaller = max(float(np.quantile(some, SMALLER)), LEAST * float(sizes.max())) if some.size else 1.0
    return float((np.abs(one - other) / (absolute * smaller + relative * sizes)).max())


def is_float(array: Array) -> bool:
    """Return whether an array is of floats."""
    return array.dtype.kind == "f" or array.dtype.name.startswith(("bfloat", "float"))


def _numbers(reference: Array, candidate: Array) -> tuple[Array, Array] | None:
    """Return the finite elements of both in float64, None where the others differ or are all that there is."""
    one, other = reference.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True) or not np.isfinite(other[finite]).all():
        return None
    return (one[finite], other[finite]) if finite.any() or not one.size else None
