"""GPTQ: what is lost at one input is made good by later ones, as far as inputs that occur are correlated."""

from functools import partial

import numpy as np
import pytest

from lwmport.quantise.gptq import compensated, factor_of
from lwmport.quantise.rounding import Grid, codes_of, nearest_grid, values_of
from lwmport.types import Array

INPUTS, OUTPUTS = 200, 24


def samples(seed: int, *, correlated: bool = True) -> Array:
    """Return inputs [n, k] that lie mostly in a few directions, some channels much larger than others."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((4 * INPUTS, INPUTS))
    if correlated:
        mixed = mixed @ (np.exp(-np.arange(INPUTS) / 20)[:, None] * np.random.default_rng(7).normal(size=(INPUTS,) * 2))
    return mixed.astype(np.float32)


def rounded(weight: Array, group: int, *, symmetric: bool, hessian: Array | None) -> Array:
    """Return the values of rounded weights: by GPTQ, or to nearest where there is no Hessian."""
    grid_of = partial(nearest_grid, axis=0, bits=4, symmetric=symmetric)
    if hessian is None:
        parts = [weight[at : at + group] for at in range(0, len(weight), group)]
        return np.concatenate([values_of(codes_of(part, grid_of(part), 4), grid_of(part)) for part in parts])
    codes, grid = compensated(weight.copy(), factor_of(hessian.copy()), group, 4, lambda values, _: grid_of(values))
    wide = Grid(*(np.repeat(part, group, axis=0)[: len(weight)] for part in grid))
    return values_of(codes, wide)


@pytest.mark.parametrize(("group", "symmetric"), [(16, True), (32, False), (256, True)])
def test_products_change_less_than_by_rounding_to_nearest(group: int, *, symmetric: bool) -> None:
    weight = np.random.default_rng(1).standard_normal((INPUTS, OUTPUTS), np.float32)
    seen, others = samples(2), samples(3)
    ours = rounded(weight, group, symmetric=symmetric, hessian=seen.T @ seen)
    nearest = rounded(weight, group, symmetric=symmetric, hessian=None)
    for inputs in (seen, others):
        lost, usual = (np.linalg.norm(inputs @ (made - weight)) for made in (ours, nearest))
        assert lost < 0.6 * usual
    assert np.linalg.norm(ours - weight) > np.linalg.norm(nearest - weight)


def test_inputs_without_correlations_are_rounded_to_nearest() -> None:
    weight = np.random.default_rng(1).standard_normal((INPUTS, OUTPUTS), np.float32)
    sizes = np.random.default_rng(2).uniform(0.1, 10, INPUTS).astype(np.float32)
    ours = rounded(weight, 32, symmetric=True, hessian=np.diag(sizes))
    assert np.array_equal(ours, rounded(weight, 32, symmetric=True, hessian=None))


def test_the_factor_is_upper_and_of_the_inverse() -> None:
    inputs = samples(2)
    hessian = inputs.T @ inputs
    factor = factor_of(hessian.copy(), 0.1, 0)
    mean = np.diag(hessian).mean()
    damped = hessian / mean + 0.1 * np.eye(INPUTS)
    assert np.array_equal(factor, np.triu(factor))
    assert np.abs(factor.T @ factor @ damped - np.eye(INPUTS)).max() < 1e-3


def test_an_input_that_never_occurs_and_one_that_is_another_have_a_factor() -> None:
    inputs = samples(2, correlated=False)
    inputs[:, 5], inputs[:, 8] = 0, inputs[:, 9]
    factor = factor_of(inputs.T @ inputs)
    assert np.isfinite(factor).all()
    assert np.count_nonzero(factor[5]) == 1
