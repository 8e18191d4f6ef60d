"""Composites: each decomposition is the operation that flax or jax.nn has under that name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lwmport.graphs.atoms import composite_attributes, composite_name
from lwmport.models.composites import basic as composites
from lwmport.models.layers import EPSILON, GROUPS, GroupNorm, conv1x1, conv3x3, rows
from lwmport.types import Array

RANDOM = np.random.default_rng(2)


def normal(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


PICTURES = normal(2, 4, 6, 64)
SCALE, BIAS = normal(64), normal(64)
VARIABLES = {"params": {"scale": SCALE, "bias": BIAS}}
FLAX = {"rtol": 1e-5, "atol": 2e-6}


@pytest.mark.parametrize("groups", [1, 8, 32, 64])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 30.0])
def test_group_norm_is_flaxs(groups: int, spread: float) -> None:
    x = PICTURES * np.float32(spread)
    expected = nn.GroupNorm(num_groups=groups, epsilon=1e-6).apply(VARIABLES, x)
    found = composites.group_norm(x, SCALE, BIAS, groups=groups, epsilon=1e-6)
    np.testing.assert_allclose(found, expected, strict=True, **FLAX)


def test_group_norm_of_a_flat_picture_is_its_bias() -> None:
    flat = np.full((1, 3, 3, 32), 5.0, np.float32)
    found = composites.group_norm(flat, SCALE[:32], BIAS[:32], groups=32, epsilon=1e-6)
    np.testing.assert_allclose(found, np.broadcast_to(BIAS[:32], flat.shape), atol=1e-6)


def test_the_layer_is_flaxs_with_flaxs_defaults() -> None:
    ours, theirs = GroupNorm(), nn.GroupNorm()
    assert (theirs.num_groups, theirs.epsilon) == (GROUPS, EPSILON)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(0), PICTURES)) == jax.tree.map(
        jnp.shape, theirs.init(jax.random.key(0), PICTURES)
    )
    np.testing.assert_allclose(ours.apply(VARIABLES, PICTURES), theirs.apply(VARIABLES, PICTURES), **FLAX)


def test_silu_is_jaxs() -> None:
    x = np.linspace(-100, 100, 101, dtype=np.float32)
    np.testing.assert_allclose(composites.silu(x), jax.nn.silu(x), rtol=1e-6, strict=True)


@pytest.mark.parametrize("shift", [0.0, 500.0, -500.0])
def test_softmax_is_jaxs_and_cannot_overflow(shift: float) -> None:
    x = normal(3, 5, 7) * 10 + np.float32(shift)
    found = composites.softmax(x)
    np.testing.assert_allclose(found, jax.nn.softmax(x, axis=-1), rtol=1e-5, atol=1e-7, strict=True)
    np.testing.assert_allclose(np.sum(found, axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 1, 1, 1), (1, 5, 3, 2)])
def test_upsampling_repeats_every_pixel(factor: int, shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    batch, height, width, channels = shape
    size = (batch, height * factor, width * factor, channels)
    found = np.asarray(composites.upsample_nearest(x, factor=factor))
    np.testing.assert_array_equal(found, jax.image.resize(x, size, "nearest"), strict=True)
    np.testing.assert_array_equal(found, x.repeat(factor, axis=1).repeat(factor, axis=2), strict=True)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("sides", [(6, 6), (7, 5)], ids=["even", "odd"])
def test_average_pool_is_flaxs(size: int, sides: tuple[int, int]) -> None:
    x = normal(2, *sides, 3)
    expected = nn.avg_pool(x, (size, size), (size, size), "VALID")
    np.testing.assert_allclose(composites.average_pool(x, size=size), expected, rtol=1e-6, strict=True)


def test_the_nearest_code_is_the_one_of_the_least_distance() -> None:
    z, codes = normal(50, 8), normal(30, 8)
    distances = np.square(z[:, None].astype(np.float64) - codes[None]).sum(axis=2)
    found = composites.nearest_code(z, codes)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, distances.argmin(axis=1))


def test_the_first_of_equal_codes_wins() -> None:
    codes = np.repeat(normal(1, 4), 3, axis=0)
    np.testing.assert_array_equal(composites.nearest_code(codes[:2], codes), [0, 0])


def test_codes_are_their_own_nearest() -> None:
    codes = normal(40, 8)
    np.testing.assert_array_equal(composites.nearest_code(codes, codes), np.arange(40))


CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    composites.AVERAGE_POOL: (lambda: composites.average_pool(PICTURES, size=2), {"size": 2}),
    composites.GROUP_NORM: (
        lambda: composites.group_norm(PICTURES, SCALE, BIAS, groups=4, epsilon=1e-6),
        {"epsilon": 1e-6, "groups": 4},
    ),
    composites.NEAREST_CODE: (lambda: composites.nearest_code(normal(3, 4), normal(5, 4)), {}),
    composites.SILU: (lambda: composites.silu(PICTURES), {}),
    composites.SOFTMAX: (lambda: composites.softmax(PICTURES), {}),
    composites.UPSAMPLE_NEAREST: (lambda: composites.upsample_nearest(PICTURES, factor=2), {"factor": 2}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_composite_is_one_equation_with_its_name_and_attributes(name: str) -> None:
    function, attributes = CALLS[name]
    (equation,) = jax.make_jaxpr(function)().jaxpr.eqns
    assert composite_name(equation) == name
    assert composite_attributes(equation) == attributes


def test_every_composite_is_called_here() -> None:
    assert set(CALLS) == {value for name, value in vars(composites).items() if name.isupper()}


@pytest.mark.parametrize("shape", [(), (3,), (2, 4, 4)])
def test_rows_are_those_of_the_table_by_one_gather(shape: tuple[int, ...]) -> None:
    table = normal(9, 5)
    indices = np.asarray(RANDOM.integers(0, 9, shape), np.int32)
    np.testing.assert_array_equal(rows(jnp.asarray(table), jnp.asarray(indices)), table[indices], strict=True)
    names = [equation.primitive.name for equation in jax.make_jaxpr(rows)(table, indices).jaxpr.eqns]
    assert names == ["broadcast_in_dim", "gather"]


def test_convolutions_keep_the_size() -> None:
    for layer, kernel in ((conv3x3(5), (3, 3, 64, 5)), (conv1x1(5), (1, 1, 64, 5))):
        made, variables = layer.init_with_output(jax.random.key(0), PICTURES)
        assert made.shape == (2, 4, 6, 5)
        assert variables["params"]["kernel"].shape == kernel
