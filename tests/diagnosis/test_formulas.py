"""The formulas against the runtimes: what they say of an operator is what it computes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper
from operators_of_tests import OPERATORS

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.formulas.table import compute

HAND_MADE = {name for name in OPERATORS if name.startswith(("tflite", "tensorflow"))} | {"group_norm"}
ONNX = [name for name in OPERATORS if name not in HAND_MADE]


def run(one: Side) -> Any:
    """Return what ONNX Runtime gives for one operator."""
    domain, _, kind = one.type.rpartition("::")
    feeds = {f"i{at}": value for at, value in enumerate(one.inputs) if value is not None}
    names = [f"i{at}" if value is not None else "" for at, value in enumerate(one.inputs)]
    node = helper.make_node(kind, names, ["y"], domain=domain, **one.attributes)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), np.shape(value))
        for name, value in feeds.items()
    ]
    output = helper.make_empty_tensor_value_info("y")
    graph = helper.make_graph([node], "one", infos, [output])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {name: np.asarray(value) for name, value in feeds.items()})[0]


@pytest.mark.parametrize("name", ONNX)
def test_an_operator_of_onnx_gives_what_its_formula_says(name: str) -> None:
    one = OPERATORS[name](np.random.default_rng(3))
    found, right = compute(one), run(one)
    assert found is not None
    assert found.shape == right.shape
    np.testing.assert_allclose(found, right, rtol=2e-5, atol=2e-5 * np.abs(right[np.abs(right) < 1e30]).max())


VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "groups": ("conv", {"group": 2}),
    "dilated": ("conv", {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    "automatic": ("conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2], "pads": None}),
    "upper": ("conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2], "pads": None}),
    "whole": ("average_pool", {"count_include_pad": 1}),
    "two axes": ("layer_norm", {"axis": 1}),
    "halves": ("rotary", {"interleaved": 0}),
    "columns": ("softmax", {"axis": 1}),
    "tanh": ("gelu", {"approximate": "tanh"}),
    "scaled": ("gemm", {"alpha": 0.5, "beta": 2.0, "transB": 0}),
    "squeezed": ("mean", {"keepdims": 0}),
    **{
        f"{kind} {rounding}": ("resize", {"coordinate_transformation_mode": kind, "nearest_mode": rounding})
        for kind in ("half_pixel", "asymmetric", "align_corners")
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_setting_means_what_the_formula_says(variant: str) -> None:
    name, settings = VARIANTS[variant]
    right = OPERATORS[name](np.random.default_rng(4))
    kept = {key: value for key, value in {**right.attributes, **settings}.items() if value is not None}
    inputs = list(right.inputs)
    if variant == "groups":
        inputs[1] = inputs[1][:, :8]
    if variant == "two axes":
        inputs[1:] = [np.tile(one, (24, 1)) for one in inputs[1:]]
    one = Side(type=right.type, attributes=kept, inputs=tuple(inputs))
    found, expected = compute(one), run(one)
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())
