"""GPTQ: values are rounded one input after the other, and what each loses is made good by those that are still exact.

What counts is not the error of the weights but that of their products with inputs that occur. With ``H = X^T X`` of
those inputs and ``U`` upper triangular, ``U^T U = H^-1``, the rounding error ``e`` of input ``i`` is least harmful when
``(e / U[i, i]) * U[i, j]`` is taken from every later input ``j`` (Frantar et al., "GPTQ", arXiv:2210.17323: row ``i``
of the Cholesky factor). The grid of a group is chosen from its values as they are when its turn comes, by the error
that it will cause: ``(e / U[i, i])^2`` summed.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from lwmport.quantise.rounding import Grid, codes_of, values_of
from lwmport.types import Array

DAMPING: Final = 0.01
"""What is added to the diagonal of H, as a share of its mean: inputs that hardly occur then bear no large corrections
(the value of the authors' code, IST-DASLab/gptq)."""

SHRINKAGE: Final = 0.5
"""What is added to the diagonal of H besides, as a share of itself: correlations count for two thirds. A few thousand
tokens show correlations that other texts do not have; without it the products of SmolLM2-135M with another kind of text
changed more than by rounding to nearest."""

BLOCK: Final = 128
"""Inputs whose corrections are summed before they reach the later ones: one product of matrices in place of many."""

INNER: Final = 32
"""The same inside of a block; groups and inner blocks are powers of two, so that no group begins in one and ends behind
it unless it begins with it."""

SMALL: Final = 64
"""Rows of a triangle that are inverted as they are."""


def factor_of(hessian: Array, damping: float = DAMPING, shrinkage: float = SHRINKAGE) -> Array:
    """Return U [k, k] float32, upper triangular, with ``U^T U = (H + shrinkage * diag H + damping * mean(diag H))^-1``.

    Here H is divided by the mean of its diagonal.

    An input that never occurs has no correlations, and its row corrects nothing. ``hessian`` [k, k] is changed.
    Damping is ten times as much each time that H, in float32, has no factor.
    """
    diagonal = np.einsum("ii->i", hessian)
    diagonal[diagonal == 0] = 1
    hessian /= np.float32(diagonal.mean(dtype=np.float64))
    diagonal *= np.float32(1 + shrinkage)
    added = 0.0
    while True:
        diagonal += np.float32(damping - added)
        try:
            # H reversed is L L^T: then U is the inverse of L, reversed.
            lower = np.linalg.cholesky(hessian[::-1, ::-1])
        except np.linalg.LinAlgError:
            damping, added = 10 * damping, damping
            continue
        _invert(lower)
        return np.ascontiguousarray(lower[::-1, ::-1])


def _invert(lower: Array) -> None:
    """Put the inverse of a lower triangle into its place, half by half."""
    size = len(lower)
    if size <= SMALL:
        lower[...] = np.tril(np.linalg.inv(lower))
        return
    middle = size // 2
    first, second = lower[:middle, :middle], lower[middle:, middle:]
    _invert(first)
    _invert(second)
    lower[middle:, :middle] = -(second @ (lower[middle:, :middle] @ first))


def compensated(
    weight: Array, factor: Array, group: int, bits: int, grid_of: Callable[[Array, Array], Grid]
) -> tuple[Array, Grid]:
    """Return the codes of a matrix, uint8 [inputs, outputs], and the grid of its groups, [groups, outputs] each.

    Args:
        weight: float32 [inputs, outputs]; it is changed.
        factor: of its inputs, as `factor_of` returns it.
        group: inputs that share a scale.
        bits: of a code.
        grid_of: returns the grid, 1 on the first axis, of a group [inputs, outputs] and what an error costs at each
            input, [inputs, 1].
    """
    count, costs = len(weight), np.square(np.float32(1) / np.diag(factor))[:, None]
    codes, errors = np.empty(weight.shape, np.uint8), np.empty((BLOCK, weight.shape[1]), np.float32)
    grids: list[Grid] = []
    for begin in range(0, count, BLOCK):
        end = min(begin + BLOCK, count)
        for inner in range(begin, end, INNER):
            last = min(inner + INNER, end)
            for row in range(inner, last):
                if row % group == 0:
                    grids.append(grid_of(weight[row : row + group], costs[row : row + group]))
                values = weight[row : row + 1]
                codes[row] = codes_of(values, grids[-1], bits)
                lost = errors[row - begin]
                np.subtract(values, values_of(codes[row : row + 1], grids[-1]), out=lost[None])
                lost /= factor[row, row]
                weight[row + 1 : last] -= factor[row, row + 1 : last, None] * lost
            weight[last:end] -= factor[inner:last, last:end].T @ errors[inner - begin : last - begin]
        weight[end:] -= factor[begin:end, end:].T @ errors[: end - begin]
    return codes, Grid(*(np.concatenate(parts) for parts in zip(*grids, strict=True)))
