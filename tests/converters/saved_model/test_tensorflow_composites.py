"""Every composite as native operators, decomposed, and in JAX."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lwmport.converters.saved_model.forms import FORMS
from lwmport.models.composites import basic as composites
from lwmport.models.composites import language as llama_composites
from lwmport.models.composites import transformer
from lwmport.types import Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


X = 3 * normal(2, 6, 4, 8) + 1
EXAMPLES: dict[str, tuple[Callable[..., Any], tuple[Array, ...], dict[str, int]]] = {
    "AvgPool": (lambda x: composites.average_pool(x, size=2), (X,), {"AvgPool": 1}),
    "ChannelMeans": (
        lambda x, scale, bias: composites.group_norm(x, scale, bias, groups=4, epsilon=1e-6),
        (X, normal(8), normal(8, seed=1)),
        {"AddV2": 2, "Maximum": 1, "Mean": 4, "Mul": 3, "Reshape": 6, "Rsqrt": 1, "Square": 2, "Sub": 2},
    ),
    "ConcatV2": (
        llama_composites.cache_update,
        (normal(2, 3, 7, 4), normal(2, 3, 2, 4), np.asarray(5, np.int32)),
        {"AddV2": 1, "ConcatV2": 3, "Maximum": 1, "Minimum": 1, "Reshape": 2, "StridedSlice": 2},
    ),
    "Erf*Mul": (transformer.gelu, (X,), {"AddV2": 1, "Erf": 1, "Mul": 2, "RealDiv": 1}),
    "Mean*Rsqrt": (
        lambda x, scale: llama_composites.rms_norm(x, scale, epsilon=1e-6),
        (X, normal(8)),
        {"AddV2": 1, "Mean": 1, "Mul": 2, "Rsqrt": 1, "Square": 1},
    ),
    "ResizeNearestNeighbor": (
        lambda x: composites.upsample_nearest(x, factor=2),
        (X,),
        {"ResizeNearestNeighbor": 1},
    ),
    "SelectV2": (
        llama_composites.cache_update,
        (normal(2, 3, 7, 4), normal(2, 3, 2, 4), np.asarray(5, np.int32)),
        {"Equal": 1, "GatherV2": 1, "Maximum": 1, "Minimum": 1, "Reshape": 1, "SelectV2": 1, "Sub": 1},
    ),
    "Sigmoid*Mul": (composites.silu, (X,), {"Mul": 1, "Sigmoid": 1}),
    "Softmax": (composites.softmax, (X,), {"Softmax": 1}),
    "SquaredDifference": (
        lambda x, scale, bias: transformer.layer_norm(x, scale, bias, epsilon=1e-6),
        (X, normal(8), normal(8, seed=1)),
        {"AddV2": 2, "Mean": 2, "Mul": 2, "Rsqrt": 1, "SquaredDifference": 1, "Sub": 1},
    ),
}


OF_A_CACHE = {"ConcatV2", "SelectV2"}
"""The second is the frozen graph's."""


@pytest.mark.parametrize("position", [0, 3, 6])
@pytest.mark.parametrize("form", sorted(OF_A_CACHE))
def test_one_token_is_written_into_its_slot(form: str, position: int, lower: Callable[..., Any]) -> None:
    inputs = (normal(2, 3, 7, 4), normal(2, 3, 1, 4), np.asarray(position, np.int32))
    asked = {llama_composites.CACHE_UPDATE: (form,)}
    lower(llama_composites.cache_update, *inputs, composites=asked).agrees(rtol=0, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_native_agrees_with_jax(form: str, lower: Callable[..., Any]) -> None:
    function, inputs, operators = EXAMPLES[form]
    asked = {"composites": {llama_composites.CACHE_UPDATE: (form,)}} if form in OF_A_CACHE else {}
    assert lower(function, *inputs, **asked).agrees().computing == operators


@pytest.mark.parametrize("form", FORMS)
def test_decomposed_agrees_with_jax(form: str, lower: Callable[..., Any]) -> None:
    function, inputs, operators = EXAMPLES[form]
    same = lower(function, *inputs, composites={}).agrees(atol=2e-6).computing == operators
    assert same == (form in {"ConcatV2", "Sigmoid*Mul"})  # which are written as they are defined


def test_every_composite_is_tried(plain: Any) -> None:
    taken = {name for (name,) in plain.composites.values()}
    assert sorted(EXAMPLES) == sorted(FORMS) == sorted(taken | OF_A_CACHE)


@pytest.mark.parametrize("factor", [1, 3, 4, 5, 7])
def test_any_factor_repeats_pixels(factor: int, lower: Callable[..., Any]) -> None:
    lower(lambda x: composites.upsample_nearest(x, factor=factor), normal(1, 11, 7, 2)).agrees(rtol=0, atol=0)


def test_group_norm_of_a_constant_picture_is_its_bias(lower: Callable[..., Any]) -> None:
    x, scale, bias = np.full((1, 4, 4, 8), 3, np.float32), np.ones(8, np.float32), normal(8)
    found = lower(lambda x, s, b: composites.group_norm(x, s, b, groups=2, epsilon=1e-6), x, scale, bias).run()
    np.testing.assert_allclose(found["y0"], np.broadcast_to(bias, x.shape), atol=1e-3)


def test_group_norm_of_a_large_picture_in_float16_does_not_overflow(lower: Callable[..., Any]) -> None:
    x = (3 * normal(1, 256, 256, 2)).astype(np.float16)  # its squares sum up to 590,000, and float16 ends at 65,504
    scale, bias = np.ones(2, np.float16), np.zeros(2, np.float16)
    lowered = lower(lambda x, s, b: composites.group_norm(x, s, b, groups=2, epsilon=1e-6), x, scale, bias)
    (found,) = lowered.run().values()
    assert found.dtype == np.float16
    assert np.allclose(found, (x - x.mean((1, 2), np.float32)) / x.std((1, 2), np.float32), atol=2e-2)


def test_nearest_code_takes_the_first_of_equals(lower: Callable[..., Any]) -> None:
    codes = np.repeat(normal(7, 4), 3, axis=0)
    found = lower(composites.nearest_code, codes + 0, weights={"codes": codes}).agrees().run()
    assert (found["y0"] % 3 == 0).all()


def test_softmax_does_not_overflow(lower: Callable[..., Any]) -> None:
    lower(composites.softmax, np.asarray([[1e4, 0, -1e4]], np.float32)).agrees()


@pytest.mark.parametrize("composites_of", ["native", "decomposed"])
def test_the_batch_may_be_dynamic(composites_of: str, lower: Callable[..., Any]) -> None:
    scale, bias = normal(8), normal(8, seed=1)

    def function(x: Any) -> Any:
        y = composites.silu(composites.group_norm(x, scale, bias, groups=4, epsilon=1e-6))
        y = composites.upsample_nearest(composites.average_pool(y, size=2), factor=2)
        return composites.softmax(y)

    options = {} if composites_of == "native" else {"composites": {}}
    lower(function, X, dynamic=True, **options).agrees(atol=2e-6)
