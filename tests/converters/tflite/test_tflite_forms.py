"""Every composite in every form that it can take, against its own decomposition and against JAX."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.converters.tflite.forms import FORMS
from lwmport.errors import LoweringError
from lwmport.models.composites import basic as composites
from lwmport.models.composites import language as llama_composites
from lwmport.models.composites import transformer
from lwmport.types import Array

RANDOM = np.random.default_rng(11)


def normal(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


PLAIN = "conv_general_dilated"
"""The one primitive with several forms."""

SCALE, BIAS, KERNEL = normal(16), normal(16), normal(3, 3, 16, 4)
CODES, PICTURES = normal(20, 16), normal(2, 4, 6, 16)
WIDE_KERNEL, WIDE_PICTURES = normal(3, 3, 64, 80) / 24, normal(2, 16, 64, 64)
FAINT = PICTURES * np.float32(1e-3)
"""Values whose variance is epsilon's size: a wrong epsilon changes them by half."""


def group_norm(x: Any) -> Any:
    return composites.group_norm(x, jnp.asarray(SCALE), jnp.asarray(BIAS), groups=4, epsilon=1e-6)


def layer_norm(x: Any) -> Any:
    return transformer.layer_norm(x, jnp.asarray(SCALE), jnp.asarray(BIAS), epsilon=1e-6)


def doubled_and_convolved(x: Any) -> Any:
    y = composites.upsample_nearest(x, factor=2)
    y = jax.lax.conv_general_dilated(y, KERNEL, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + BIAS[:4].reshape(1, 1, 1, 4)


def convolved(x: Any) -> Any:
    kernel = jnp.asarray(WIDE_KERNEL)
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def codes_of_pictures(x: Any) -> Any:
    return composites.nearest_code(x.reshape(-1, 16), jnp.asarray(CODES)).reshape(-1, 4, 6)


def turned(x: Any) -> Any:
    angles = x[:, 0, :, :8] * 3
    return llama_composites.rotary_embedding(x, jnp.cos(angles), jnp.sin(angles))


EXAMPLES: dict[str, tuple[Callable[..., Any], Array]] = {
    "lwmport.average_pool": (lambda x: composites.average_pool(x, size=2), PICTURES),
    "lwmport.average_pool, odd size": (lambda x: composites.average_pool(x, size=3), normal(2, 7, 5, 3)),
    "lwmport.gelu": (transformer.gelu, PICTURES * 3),
    "lwmport.group_norm": (group_norm, PICTURES),
    "lwmport.group_norm, faint": (group_norm, FAINT),
    "lwmport.group_norm, shifted": (group_norm, PICTURES + 3),
    "lwmport.layer_norm": (layer_norm, PICTURES),
    "lwmport.layer_norm, faint": (layer_norm, FAINT),
    "lwmport.layer_norm, shifted": (layer_norm, PICTURES + 3),
    "lwmport.nearest_code": (codes_of_pictures, PICTURES),
    "lwmport.nearest_code, of rows": (lambda x: composites.nearest_code(x, jnp.asarray(CODES)), normal(7, 16)),
    "lwmport.nearest_code, shaped otherwise": (
        lambda x: composites.nearest_code(x.reshape(-1, 16), jnp.asarray(CODES)).reshape(-1, 24),
        PICTURES,
    ),
    "lwmport.rms_norm": (lambda x: llama_composites.rms_norm(x, jnp.asarray(SCALE), epsilon=1e-6), PICTURES),
    "lwmport.rms_norm, faint": (lambda x: llama_composites.rms_norm(x, jnp.asarray(SCALE), epsilon=1e-6), FAINT),
    "lwmport.rotary_embedding": (turned, PICTURES),
    "lwmport.silu": (composites.silu, PICTURES * 10),
    "lwmport.softmax": (composites.softmax, normal(2, 5, 7) * 10),
    "lwmport.upsample_nearest": (lambda x: composites.upsample_nearest(x, factor=2), PICTURES),
    "lwmport.upsample_nearest, three times": (lambda x: composites.upsample_nearest(x, factor=3), normal(2, 1, 5, 3)),
    "lwmport.upsample_nearest, convolved": (doubled_and_convolved, PICTURES),
    "conv_general_dilated, wide": (convolved, WIDE_PICTURES),
}

INVENTORY = {
    "GROUP_MOMENTS": {"ADD": 2, "MEAN": 2, "MUL": 4, "RESHAPE": 2, "RSQRT": 1, "SUB": 2},
    "ARG_MIN": {"ADD": 1, "ARG_MIN": 1, "FULLY_CONNECTED": 1, "MUL": 2, "SUB": 1, "SUM": 1},
    "AVERAGE_POOL_2D": {"AVERAGE_POOL_2D": 1},
    "CHANNEL_MEANS": {
        "ADD": 2,
        "FULLY_CONNECTED": 4,
        "MAXIMUM": 1,
        "MEAN": 4,
        "MUL": 4,
        "NEG": 1,
        "RSQRT": 1,
        "SUB": 1,
    },
    "CONCATENATION": {"CONCATENATION": 2, "RESHAPE": 2},
    "CONV_2D": {"CONV_2D": 1},
    "DOUBLED_WINOGRAD": {
        "ADD": 5,
        "CONCATENATION": 3,
        "DEPTHWISE_CONV_2D": 8,
        "FULLY_CONNECTED": 9,
        "RESHAPE": 3,
        "SUB": 5,
    },
    "GELU": {"GELU": 1},
    "LOGISTIC*MUL": {"LOGISTIC": 1, "MUL": 1},
    "MEAN*RSQRT": {"ADD": 1, "MEAN": 1, "MUL": 3, "RSQRT": 1},
    "RESIZE_NEAREST_NEIGHBOR": {"RESIZE_NEAREST_NEIGHBOR": 1},
    "SOFTMAX": {"SOFTMAX": 1},
    "SUB*RSQRT": {"ADD": 2, "MEAN": 2, "MUL": 3, "RSQRT": 1, "SUB": 1},
    "SWAPPED_PAIRS": {"ADD": 1, "FULLY_CONNECTED": 3, "MUL": 2, "RESHAPE": 2},
    "WINOGRAD": {
        "ADD": 12,
        "CONCATENATION": 3,
        "DEPTHWISE_CONV_2D": 16,
        "FULLY_CONNECTED": 16,
        "RESHAPE": 3,
        "SUB": 12,
    },
}
"""Form -> its operators, without the convolution that some examples add."""

COMPOSITE_OF = {
    "ARG_MIN": "lwmport.nearest_code",
    "AVERAGE_POOL_2D": "lwmport.average_pool",
    "CHANNEL_MEANS": "lwmport.group_norm",
    "CONCATENATION": "lwmport.upsample_nearest",
    "CONV_2D": PLAIN,
    "DOUBLED_WINOGRAD": "lwmport.upsample_nearest",
    "GELU": "lwmport.gelu",
    "GROUP_MOMENTS": "lwmport.group_norm",
    "LOGISTIC*MUL": "lwmport.silu",
    "MEAN*RSQRT": "lwmport.rms_norm",
    "RESIZE_NEAREST_NEIGHBOR": "lwmport.upsample_nearest",
    "SOFTMAX": "lwmport.softmax",
    "SUB*RSQRT": "lwmport.layer_norm",
    "SWAPPED_PAIRS": "lwmport.rotary_embedding",
    "WINOGRAD": PLAIN,
}
ELSEWHERE = {"lwmport.cache_update", "lwmport.causal_attention", "lwmport.masked_attention"}
"""Composites with several inputs, of test_tflite_cache.py and test_language_models.py."""
OF_A_CACHE = {"DYNAMIC_UPDATE_SLICE", "SELECT_V2"}
OF_INTEGERS = {"QUANTIZE"}
"""Forms with tests of their own: test_tflite_cache.py, test_tflite_quantised.py."""

OUTSIDE = {"ARG_MIN": ("ARG_MIN",), "RESIZE_NEAREST_NEIGHBOR": ("RESIZE_NEAREST_NEIGHBOR",)}
"""Form -> the operators that XNNPACK does not take; all other forms run in it whole."""

PAIRS = [
    (form, example)
    for form, composite in COMPOSITE_OF.items()
    for example in EXAMPLES
    if example.split(",")[0] == composite and (form != "DOUBLED_WINOGRAD" or example.endswith("convolved"))
]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("batch", ["static", "dynamic"])
@pytest.mark.parametrize(("form", "example"), PAIRS)
def test_form_agrees_with_jax(form: str, example: str, batch: str, lower: Callable[..., Any]) -> None:
    function, x = EXAMPLES[example]
    found = lower(function, x, composites={COMPOSITE_OF[form]: [form]}, dynamic=batch == "dynamic").agrees(**CLOSE)
    operators = {**INVENTORY[form]}
    if example.endswith("convolved") and form != "DOUBLED_WINOGRAD":
        operators["CONV_2D"] = 1
    if "rotary" in example:
        operators |= {"COS": 1, "SIN": 1, "SLICE": 1, "MUL": 3, "RESHAPE": 3}
    if example.endswith("otherwise"):
        operators["RESHAPE"] = 2
    assert found.operators == operators
    if not example.endswith("otherwise") and "rotary" not in example:
        assert found.runner.undelegated == OUTSIDE.get(form, ())


@pytest.mark.parametrize("batch", ["static", "dynamic"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_decomposition_agrees_with_jax(example: str, batch: str, lower: Callable[..., Any]) -> None:
    function, x = EXAMPLES[example]
    if batch == "dynamic" and "upsample" in example:
        with pytest.raises(LoweringError, match="BROADCAST_TO reads its shape from a constant"):
            lower(function, x, composites={}, dynamic=True)
        return
    found = lower(function, x, composites={}, dynamic=batch == "dynamic").agrees(**CLOSE)
    assert not {"MEAN", "RESIZE_NEAREST_NEIGHBOR", "SOFTMAX"} & set(found.operators)


def test_every_form_has_a_composite_an_example_and_an_inventory() -> None:
    assert (
        sorted(set(FORMS) - OF_A_CACHE - OF_INTEGERS)
        == sorted(INVENTORY)
        == sorted(COMPOSITE_OF)
        == sorted({form for form, _ in PAIRS})
    )


def test_every_composite_of_the_models_has_an_example() -> None:
    both = (*vars(composites).items(), *vars(llama_composites).items(), *vars(transformer).items())
    names = {value for name, value in both if name.isupper()} - ELSEWHERE
    assert {name.split(",")[0] for name in EXAMPLES} == {*names, PLAIN}


def test_the_second_form_is_taken_where_the_first_does_not_fit(lower: Callable[..., Any]) -> None:
    forms = {"lwmport.upsample_nearest": ["DOUBLED_WINOGRAD", "CONCATENATION"]}
    found = lower(lambda x: composites.upsample_nearest(x, factor=2), PICTURES, composites=forms).agrees()
    assert found.operators == INVENTORY["CONCATENATION"]


def test_the_first_of_equal_codes_wins(lower: Callable[..., Any]) -> None:
    twice = np.concatenate([CODES, CODES])
    lower(lambda x: composites.nearest_code(x, jnp.asarray(twice)), normal(50, 16)).agrees()
