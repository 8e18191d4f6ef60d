"""Angles against float64 and against decimal arithmetic of 60 digits, up to the last position of a million."""

from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.models.composites import language as llama_composites
from lwmport.models.llama.rotary import frequencies, rotary_angles, rotate_pairs

LAST = 1_048_575
POSITIONS = [0, 1, 1023, 1024, 65_504, 65_505, 131_071, 524_287, 1_000_001, LAST]

ROUNDINGS = 2e-7
"""Four products and sums of float32 numbers below 1, each off by 6e-8 at most and seldom all in one direction."""


@pytest.mark.parametrize("theta", [1e4, 1e7, 2.5e7, 5e7])
def test_angles_are_float64s_at_every_position(theta: float) -> None:
    cos, sin = rotary_angles(np.array(POSITIONS), head_dim=128, theta=theta, length=2**20)
    angles = np.outer(POSITIONS, frequencies(128, theta))
    np.testing.assert_allclose(cos, np.cos(angles), rtol=0, atol=ROUNDINGS)
    np.testing.assert_allclose(sin, np.sin(angles), rtol=0, atol=ROUNDINGS)


@pytest.mark.parametrize("pair", [0, 1, 7, 31, 63])
def test_the_last_position_is_right_to_sixty_digits(pair: int) -> None:
    cos, sin = rotary_angles(np.array([LAST]), head_dim=128, theta=5e7, length=2**20)
    with localcontext() as context:
        context.prec = 60
        angle = LAST * (-(Decimal(2 * pair) / 128) * Decimal(50_000_000).ln()).exp()
        reduced = angle - (angle / TURN).to_integral_value() * TURN
    np.testing.assert_allclose(cos[0, pair], np.cos(float(reduced)), rtol=0, atol=ROUNDINGS)
    np.testing.assert_allclose(sin[0, pair], np.sin(float(reduced)), rtol=0, atol=ROUNDINGS)


TURN = 2 * Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def test_float32_angles_would_fail_this() -> None:
    angles = np.outer(POSITIONS, frequencies(128, 5e7))
    rounded = np.outer(np.float32(POSITIONS), frequencies(128, 5e7).astype(np.float32))
    assert np.abs(np.cos(rounded) - np.cos(angles)).max() > 1e4 * ROUNDINGS


def test_the_tables_of_a_million_positions_are_small() -> None:
    positions = jax.ShapeDtypeStruct((1, 8), "int32")
    closed = jax.make_jaxpr(lambda p: rotary_angles(p, head_dim=128, theta=5e7, length=2**20))(positions)
    assert sum(np.asarray(constant).nbytes for constant in closed.consts) == 2**20


@pytest.mark.parametrize("length", [1, 1023, 1024, 1025, 4096])
def test_every_position_below_the_length_has_its_row(length: int) -> None:
    cos, _ = rotary_angles(np.arange(length), head_dim=8, theta=1e4, length=length)
    np.testing.assert_allclose(cos, np.cos(np.outer(np.arange(length), frequencies(8, 1e4))), rtol=0, atol=ROUNDINGS)


def test_neighbours_are_turned_as_one_complex_number() -> None:
    rng = np.random.default_rng(0)
    x, angles = rng.standard_normal((2, 3, 5, 8)), rng.standard_normal((2, 1, 5, 4))
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
    expected = np.stack((turned.real, turned.imag), axis=-1).reshape(x.shape)
    found = rotate_pairs(jnp.asarray(x, "float32"), jnp.cos(angles), jnp.sin(angles))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_composite_is_its_decomposition() -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 3, 5, 8)), "float32")
    cos, sin = rotary_angles(np.arange(10).reshape(2, 5), head_dim=8, theta=1e4, length=16)
    found = llama_composites.rotary_embedding(x, cos, sin)
    np.testing.assert_array_equal(found, rotate_pairs(x, cos[:, None], sin[:, None]))


def test_angles_stay_float32_where_the_model_is_bfloat16() -> None:
    x = jnp.ones((1, 1, 1, 128), "bfloat16")
    cos, sin = rotary_angles(np.array([[LAST]]), head_dim=128, theta=5e7, length=2**20)
    found = llama_composites.rotary_embedding(x, cos, sin)
    assert (cos.dtype, found.dtype) == (jnp.float32, jnp.bfloat16)
    np.testing.assert_allclose(found[0, 0, 0, 0::2].astype("float32"), (cos - sin)[0, 0], rtol=0, atol=8e-3)


def test_scores_depend_on_the_distance_alone_a_million_positions_out() -> None:
    rng = np.random.default_rng(0)
    query, key = (jnp.asarray(rng.standard_normal((1, 1, 1, 128)), "float32") for _ in range(2))

    def score(at: int) -> float:
        (qc, qs), (kc, ks) = (
            rotary_angles(np.array([[position]]), head_dim=128, theta=5e7, length=2**20) for position in (at, at - 100)
        )
        turned = rotate_pairs(query, qc[:, None], qs[:, None]) * rotate_pairs(key, kc[:, None], ks[:, None])
        return float(turned.sum())

    assert abs(score(100) - score(LAST)) < 2e-5
