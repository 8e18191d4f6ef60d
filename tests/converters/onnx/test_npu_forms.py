"""CANN's own fused operators, run by their formulas, against JAX; and plain operators where they do not fit."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.models.composites import basic as composites
from lwmport.models.composites import language as llama_composites
from lwmport.targets.ascend.dialects import ASCEND_NPU
from lwmport.types import Array

RANDOM = np.random.default_rng(5)
FORMS = ASCEND_NPU.composites
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    return RANDOM.standard_normal(shape).astype(dtype)


PICTURE = normal(2, 4, 6, 16)
STATES, MORE = normal(2, 5, 32), normal(2, 5, 32)
HEADS = normal(2, 3, 5, 64)
ANGLES = RANDOM.uniform(-3, 3, (2, 5, 32)).astype(np.float32)
SCALE, BIAS, GAMMA = normal(16), normal(16), normal(32)


def group_norm_silu(x: Any) -> Any:
    return composites.silu(group_norm(x))


def norm_and_silu(x: Any) -> Any:
    normal = group_norm(x)
    return normal, composites.silu(normal)


def group_norm(x: Any) -> Any:
    scale, bias = (jnp.asarray(array, x.dtype) for array in (SCALE, BIAS))
    return composites.group_norm(x, scale, bias, groups=4, epsilon=1e-6)


def rms_norm(x: Any, epsilon: float = 1e-6) -> Any:
    return llama_composites.rms_norm(x, jnp.asarray(GAMMA, x.dtype), epsilon=epsilon)


def sum_and_norm(x: Any, y: Any) -> Any:
    total = x + y
    return total, rms_norm(total)


def turned(x: Any, angles: Any) -> Any:
    return llama_composites.rotary_embedding(x, jnp.cos(angles), jnp.sin(angles))


EXAMPLES: dict[str, tuple[Callable[..., Any], tuple[Array, ...], dict[str, int]]] = {
    "NPUGroupNormSilu": (group_norm_silu, (PICTURE,), {"npu.NPUGroupNormSilu": 1}),
    "NPUGroupNormSilu, faint": (group_norm_silu, (PICTURE * np.float32(1e-3),), {"npu.NPUGroupNormSilu": 1}),
    "NPURmsNorm": (rms_norm, (STATES,), {"npu.NPURmsNorm": 1}),
    "NPURmsNorm, faint": (rms_norm, (STATES * np.float32(1e-3),), {"npu.NPURmsNorm": 1}),
    "NPUAddRmsNorm": (sum_and_norm, (STATES, MORE), {"npu.NPUAddRmsNorm": 1}),
    "NPURotaryMul": (turned, (HEADS, ANGLES), {"npu.NPURotaryMul": 1}),
}
"""Example -> a function, its inputs, and the fused operators that it takes."""

OTHERWISE: dict[str, tuple[Callable[..., Any], tuple[Array, ...], str]] = {
    "a group norm without silu": (group_norm, (PICTURE,), "InstanceNormalization"),
    "a group norm that others read": (norm_and_silu, (PICTURE,), "InstanceNormalization"),
    "another epsilon": (lambda x: rms_norm(x, 1e-5), (STATES,), "Rsqrt|Sqrt|Pow"),
    "a sum and another epsilon": (lambda x, y: rms_norm(x + y, 1e-5), (STATES, MORE), "Add"),
    "heads of 16": (turned, (HEADS[..., :16], ANGLES[..., :8]), "Mul"),
    "heads of 96": (turned, (normal(1, 2, 5, 96), np.repeat(ANGLES[:1, :, :16], 3, axis=2)), "Mul"),
}
"""Example -> a function that no fused operator fits, its inputs, and one of the operators that stand for it."""


def fused(operators: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in operators.items() if name.startswith("npu.")}


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("example", EXAMPLES)
def test_a_fused_operator_agrees_with_jax(example: str, opset: int, lower: Callable[..., Any]) -> None:
    function, inputs, operators = EXAMPLES[example]
    found = lower(function, *inputs, composites=FORMS, opset=opset).agrees(**CLOSE)
    assert fused(found.operators) == operators
    imports = {item.domain: item.version for item in found.model.opset_import}
    assert imports["npu"] == 1
    assert not found.model.functions


@pytest.mark.parametrize("example", EXAMPLES)
def test_in_half_precision_too(example: str, lower: Callable[..., Any]) -> None:
    function, inputs, operators = EXAMPLES[example]
    narrow = [array if array is ANGLES else array.astype(np.float16) for array in inputs]
    found = lower(function, *narrow, composites=FORMS, opset=17).agrees(rtol=1e-5, atol=1e-5)
    assert fused(found.operators) == operators


@pytest.mark.parametrize("example", [name for name in EXAMPLES if "faint" not in name])
def test_of_any_batch(example: str, lower: Callable[..., Any]) -> None:
    function, inputs, operators = EXAMPLES[example]
    found = lower(function, *inputs, composites=FORMS, opset=17, dynamic=True).agrees(**CLOSE)
    assert fused(found.operators) == operators


@pytest.mark.parametrize("example", OTHERWISE)
def test_what_does_not_fit_is_written_in_plain_operators(example: str, lower: Callable[..., Any]) -> None:
    function, inputs, operator = OTHERWISE[example]
    found = lower(function, *inputs, composites=FORMS, opset=17).agrees(**CLOSE)
    assert not fused(found.operators)
    assert set(operator.split("|")) & set(found.operators)


def test_each_node_has_the_operands_attributes_and_outputs_of_its_plugin(lower: Callable[..., Any]) -> None:
    def node(example: str) -> tuple[int, int, dict[str, Any]]:
        function, inputs, _ = EXAMPLES[example]
        (found,) = lower(function, *inputs, composites=FORMS, opset=17).nodes(example)
        assert found.domain == "npu"
        assert all(found.output)
        given = {item.name: item.s or round(item.f, 9) or item.i for item in found.attribute}
        return len(found.input), len(found.output), given

    assert node("NPURmsNorm") == (2, 2, {"epsilon": 1e-6})
    assert node("NPUAddRmsNorm") == (3, 3, {"epsilon": 1e-6})
    assert node("NPUGroupNormSilu") == (3, 3, {"eps": 1e-6, "group": 4})
    assert node("NPURotaryMul") == (3, 1, {"rotary_mode": b"half"})


def test_the_tables_of_a_rotation_are_made_once(lower: Callable[..., Any]) -> None:
    def both(x: Any, y: Any, angles: Any) -> Any:
        return turned(x, angles), turned(y, angles)

    found = lower(both, HEADS, HEADS * 2, ANGLES, composites=FORMS, opset=17).agrees(**CLOSE)
    assert found.operators["npu.NPURotaryMul"] == 2
    first, second = found.nodes("NPURotaryMul")
    assert first.input[1:] == second.input[1:]


def projected(x: Any, angles: Any, *, w: Any) -> Any:
    heads = (x @ w).reshape(*x.shape[:2], 3, 64).transpose(0, 2, 1, 3)
    return turned(heads, angles)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_projection_gives_halves_by_itself(dtype: Any, dynamic: bool, lower: Callable[..., Any]) -> None:  # noqa: FBT001 - a parameter of the test
    weights = {"w": normal(32, 3 * 64, dtype=dtype)}
    states = STATES.astype(dtype)
    found = lower(projected, states, ANGLES, weights=weights, composites=FORMS, opset=17, dynamic=dynamic)
    found.agrees(**(CLOSE if dtype == np.float32 else {"rtol": 1e-5, "atol": 3e-5}))
    assert found.operators["npu.NPURotaryMul"] == 1
    assert found.operators["MatMul"] == 1
    assert found.operators["Transpose"] == 2, "one behind the rotation, and one to the heads of the output"
    assert [item.name for item in found.model.graph.initializer if item.name.startswith("w")] == ["w/halves"]


def test_a_projection_that_others_read_stays_as_it_is(lower: Callable[..., Any]) -> None:
    def both(x: Any, angles: Any, *, w: Any) -> Any:
        return x @ w, projected(x, angles, w=w), projected(x, -angles, w=w)

    found = lower(both, STATES, ANGLES, weights={"w": normal(32, 3 * 64)}, composites=FORMS, opset=17).agrees(**CLOSE)
    names = [item.name for item in found.model.graph.initializer if item.name.startswith("w")]
    assert sorted(names) == ["w", "w/halves"]
    assert found.operators["MatMul"] == 2
