"""Every composite in every form that it can take, against its own decomposition and against JAX."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.converters.dialects import DIALECTS
from lwmport.converters.onnx.convert import native_rules
from lwmport.converters.onnx.forms import FORMS
from lwmport.models.composites import basic as composites
from lwmport.models.composites import transformer
from lwmport.types import Array

RANDOM = np.random.default_rng(11)


def normal(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


SCALE, BIAS, KERNEL = normal(16), normal(16), normal(3, 3, 16, 4)
CODES, PICTURES = normal(20, 16), normal(2, 4, 6, 16)
FAINT = PICTURES * np.float32(1e-3)
"""Values whose variance is epsilon's size: a wrong epsilon changes them by half."""


def group_norm(x: Any) -> Any:
    return composites.group_norm(x, jnp.asarray(SCALE), jnp.asarray(BIAS), groups=4, epsilon=1e-6)


def layer_norm(x: Any) -> Any:
    return transformer.layer_norm(x, jnp.asarray(SCALE), jnp.asarray(BIAS), epsilon=1e-6)


def doubled_and_convolved(x: Any) -> Any:
    y = composites.upsample_nearest(x, factor=2)
    return jax.lax.conv_general_dilated(y, KERNEL, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


EXAMPLES: dict[str, tuple[Callable[..., Any], Array]] = {
    "lwmport.average_pool": (lambda x: composites.average_pool(x, size=2), PICTURES),
    "lwmport.average_pool, odd size": (lambda x: composites.average_pool(x, size=3), normal(2, 7, 5, 3)),
    "lwmport.gelu": (transformer.gelu, PICTURES * 3),
    "lwmport.group_norm": (group_norm, PICTURES),
    "lwmport.group_norm, faint": (group_norm, FAINT),
    "lwmport.group_norm, shifted": (group_norm, PICTURES + 3),
    "lwmport.layer_norm": (layer_norm, PICTURES),
    "lwmport.layer_norm, faint": (layer_norm, FAINT),
    "lwmport.layer_norm, shifted": (layer_norm, PICTURES + 30),
    "lwmport.nearest_code": (
        lambda x: composites.nearest_code(x.reshape(-1, 16), jnp.asarray(CODES)).reshape(-1, 4, 6),
        PICTURES,
    ),
    "lwmport.silu": (composites.silu, PICTURES * 10),
    "lwmport.softmax": (composites.softmax, normal(2, 5, 7) * 10),
    "lwmport.upsample_nearest": (lambda x: composites.upsample_nearest(x, factor=2), PICTURES),
    "lwmport.upsample_nearest, three times": (lambda x: composites.upsample_nearest(x, factor=3), normal(2, 1, 5, 3)),
    "lwmport.upsample_nearest, convolved": (doubled_and_convolved, PICTURES),
}

OF_LOOPS = {"Loop", "Scan"}
"""Forms of a primitive: `test_primitives` has their examples."""

INVENTORY = {
    "AveragePool": {"AveragePool": 1},
    "ChannelMeans": {
        "Add": 2,
        "MatMul": 2,
        "Mul": 3,
        "Reciprocal": 1,
        "ReduceMean": 2,
        "Reshape": 2,
        "Sqrt": 1,
        "Sub": 1,
    },
    "Erf*Mul": {"Add": 1, "Div": 1, "Erf": 1, "Mul": 2},
    "Gelu": {"Gelu": 1},
    "GroupNormalization": {"GroupNormalization": 1},
    "LayerNormalization": {"LayerNormalization": 1},
    "InstanceNormalization": {"Add": 1, "InstanceNormalization": 1, "Mul": 1, "Reshape": 2},
    "InstanceNormalization4D": {"Add": 1, "InstanceNormalization": 1, "Mul": 1, "Reshape": 2},
    "Phases": {"Concat": 1, "Conv": 4, "DepthToSpace": 1},
    "ReduceMean*Div": {"Add": 2, "Div": 1, "Mul": 1, "Pow": 1, "ReduceMean": 2, "Sqrt": 1, "Sub": 1},
    "Resize": {"Resize": 1},
    "ResizeHalfPixel": {"Resize": 1},
    "Sigmoid*Mul": {"Mul": 1, "Sigmoid": 1},
    "Softmax": {"Softmax": 1},
    "SoftmaxLastAxis": {"Softmax": 1},
    "Swish": {"Swish": 1},
    "lwmport.GroupNorm": {"lwmport.GroupNorm4": 1},
}
"""Form -> its operators."""

ONNX = {
    dialect.name: dialect for dialect in DIALECTS.values() if dialect.format == "onnx" and dialect.name != "tf2onnx"
}
"""The dialects that this converter writes; tf2onnx takes another route to the format."""

OF_A_CACHE = {"TensorScatter", "Where"}
"""Forms with a test of their own: test_cache.py."""

OF_LANGUAGE = {
    "Attention", "Attention:masked", "RMSNormalization", "RotaryEmbedding", "RotaryEmbedding:heads",
    "com.microsoft.GroupQueryAttention",
    "com.microsoft.MultiHeadAttention", "com.microsoft.RotaryEmbedding",
    "com.microsoft.SkipSimplifiedLayerNormalization",
}  # fmt: skip
"""Forms that test_language_models.py holds to JAX in every dialect."""

OF_CANN = {"AscendQuant", "npu.NPUGroupNormSilu", "npu.NPURmsNorm", "npu.NPURotaryMul"}
"""Forms of the dialects ascend-npu and ascend-deploy, which test_npu_forms.py and test_ascend_deploy.py hold to JAX."""

OF_INTEGERS = {
    "QuantizeLinear:int8",
    "QuantizeLinear:uint8",
    "DequantizeLinear*MatMul",
    "Gather*Mul",
    "MatMulNBits:4",
    "com.microsoft.GatherBlockQuantized",
    "com.microsoft.MatMulNBits",
}
"""Forms of weights that are stored as integers, which test_onnx_quantised.py holds to JAX."""

COMPOSITE_OF = {
    form: name
    for dialect in ONNX.values()
    for name, forms in dialect.composites.items()
    for form in forms
    if form not in OF_A_CACHE | OF_LANGUAGE | OF_LOOPS | OF_INTEGERS
}
COMPOSITE_OF |= {
    "Erf*Mul": "lwmport.gelu",
    "InstanceNormalization4D": "lwmport.group_norm",
    "ResizeHalfPixel": "lwmport.upsample_nearest",
    "SoftmaxLastAxis": "lwmport.softmax",
}  # of vendors' dialects (`lwmport.targets.dialects`)
PAIRS = [
    (form, example)
    for form, composite in COMPOSITE_OF.items()
    for example in EXAMPLES
    if example.split(",")[0] == composite and (form != "Phases" or example.endswith("convolved"))
]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("batch", ["static", "dynamic"])
@pytest.mark.parametrize(("form", "example"), PAIRS)
def test_form_agrees_with_jax(form: str, example: str, batch: str, lower: Callable[..., Any]) -> None:
    function, x = EXAMPLES[example]
    found = lower(
        function,
        x,
        composites={COMPOSITE_OF[form]: [form]},
        dynamic=batch == "dynamic",
        opset=max(21, FORMS[form].since),
    ).agrees(**CLOSE)
    expected = {**dict.fromkeys(["Conv"] * example.count("convolved"), 1), **INVENTORY[form]}
    assert {name: count for name, count in found.operators.items() if name != "Transpose"} == expected


@pytest.mark.parametrize("batch", ["static", "dynamic"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_decomposition_agrees_with_jax(example: str, batch: str, lower: Callable[..., Any]) -> None:
    function, x = EXAMPLES[example]
    found = lower(function, x, composites={}, dynamic=batch == "dynamic").agrees(**CLOSE)
    names = {"Gelu", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "Resize", "Softmax"}
    assert not names & set(found.operators)


def test_every_form_has_a_composite_an_example_and_an_inventory() -> None:
    elsewhere = OF_A_CACHE | OF_LANGUAGE | OF_CANN | OF_LOOPS | OF_INTEGERS
    assert sorted(set(FORMS) - elsewhere) == sorted(INVENTORY) == sorted(COMPOSITE_OF)
    assert sorted(COMPOSITE_OF) == sorted({form for form, _ in PAIRS})


def test_every_composite_of_the_models_has_an_example() -> None:
    both = (*vars(composites).items(), *vars(transformer).items())
    names = {value for name, value in both if name.isupper()}
    assert {name.split(",")[0] for name in EXAMPLES} == names


@pytest.mark.parametrize("dialect", ONNX.values(), ids=ONNX)
def test_a_dialect_takes_the_best_form_that_its_opset_has(dialect: Any) -> None:
    low, high = dialect.opsets
    for opset in range(low, high + 1):
        rules = native_rules(replace(dialect, opset=opset))
        for composite, forms in dialect.composites.items():
            usable = [FORMS[form].rule for form in forms if FORMS[form].since <= opset]
            assert rules.get(composite) is (usable[0] if usable else None)


def test_the_meaning_of_group_normalization_changed_in_opset_21(lower: Callable[..., Any]) -> None:
    for opset, operator in ((20, "InstanceNormalization"), (21, "GroupNormalization")):
        assert lower(group_norm, FAINT, opset=opset).agrees(rtol=1e-4, atol=1e-5).operators[operator] == 1


@pytest.mark.parametrize(
    ("composite", "function", "forms"),
    [
        ("lwmport.layer_norm", layer_norm, {13: "ReduceMean", 16: "ReduceMean", 17: "LayerNormalization"}),
        ("lwmport.gelu", transformer.gelu, {13: "Erf", 19: "Erf", 20: "Gelu"}),
    ],
)
def test_an_operator_is_taken_from_its_first_opset_on(
    composite: str, function: Callable[..., Any], forms: dict[int, str], lower: Callable[..., Any]
) -> None:
    assert composite in DIALECTS["onnx"].composites
    for opset, operator in forms.items():
        assert operator in lower(function, PICTURES, opset=opset).agrees(**CLOSE).operators


@pytest.mark.parametrize(
    ("form", "composite", "function"),
    [
        ("LayerNormalization", "lwmport.layer_norm", layer_norm),
        ("ReduceMean*Div", "lwmport.layer_norm", layer_norm),
        ("Gelu", "lwmport.gelu", transformer.gelu),
        ("Erf*Mul", "lwmport.gelu", transformer.gelu),
    ],
)
def test_half_precision_is_the_rounding_of_what_float32_gives(
    form: str, composite: str, function: Callable[..., Any], lower: Callable[..., Any]
) -> None:
    """A sum of 16 squares of 200 overflows float16: a norm that adds up in it gives infinities."""
    x = (normal(2, 5, 16) * (200 if "norm" in composite else 2)).astype(np.float16)
    (found,) = lower(function, x, composites={composite: [form]}, opset=20).run().values()
    exact = np.asarray(function(x.astype(np.float32)))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, exact, rtol=4e-3, atol=2e-3)


def test_epsilon_is_the_composites_own(lower: Callable[..., Any]) -> None:
    (node,) = lower(group_norm, FAINT).nodes("GroupNormalization")
    assert {item.name: (item.i, item.f) for item in node.attribute} == {
        "epsilon": (0, pytest.approx(1e-6)),
        "num_groups": (4, 0.0),
    }
