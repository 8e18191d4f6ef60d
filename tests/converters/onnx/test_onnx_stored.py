"""Weights stored in float16: an initializer of that behind a Cast, or rows that are cast, and float32 elsewhere."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import onnx
import pytest

from lwmport.models.composites import basic as composites
from lwmport.models.layers import rows

RANDOM = np.random.default_rng(7)
TABLE = RANDOM.standard_normal((64, 32)).astype(np.float32)
KERNEL = RANDOM.standard_normal((3, 3, 8, 16)).astype(np.float32)
X = RANDOM.standard_normal((3, 64)).astype(np.float32)
PICTURE = RANDOM.standard_normal((1, 6, 6, 8)).astype(np.float32)


def dtypes(found: Any) -> dict[str, str]:
    """Return name -> dtype of the weights of a model."""
    names = {item.name: onnx.TensorProto.DataType.Name(item.data_type) for item in found.model.graph.initializer}
    return {name: dtype for name, dtype in names.items() if not name.startswith(("constant", "shape"))}


def convolved(x: Any, kernel: Any) -> Any:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def doubled(x: Any, kernel: Any) -> Any:
    return convolved(composites.upsample_nearest(x, factor=2), kernel)


def test_a_matrix_is_cast_where_it_is_used(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, w: x @ w, X, weights={"w": TABLE}, packed=["w"]).agrees()
    assert found.operators == {"Cast": 1, "MatMul": 1}
    assert dtypes(found) == {"w": "FLOAT16"}
    assert found.artifact.details["stored"] == {"float16": {"tensors": 1, "bytes": TABLE.nbytes // 2}}
    assert found.artifact.details["scheme"]["name"] == "float16"


def test_a_matrix_that_is_used_twice_is_stored_and_cast_once(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, w: (x @ w, (x * 2) @ w), X, weights={"w": TABLE}, packed=["w"]).agrees()
    assert found.operators == {"MatMul": 2, "Cast": 1, "Mul": 1}
    assert dtypes(found) == {"w": "FLOAT16"}


def test_another_order_of_a_matrix_is_the_same_values(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, w: x @ w.reshape(32, 64).T, X, weights={"w": TABLE}, packed=["w"]).agrees()
    assert found.operators == {"Cast": 1, "MatMul": 1}
    assert set(dtypes(found).values()) == {"FLOAT16"}


def test_rows_of_a_table_are_cast_and_the_table_is_not(lower: Callable[..., Any]) -> None:
    places = np.asarray([0, 63, 5], np.int32)
    found = lower(lambda at, w: rows(w, at), places, weights={"w": TABLE}, packed=["w"]).agrees(rtol=0, atol=0)
    (gather,), (cast,) = found.nodes("Gather"), found.nodes("Cast")
    assert gather.input[0] == "w"
    assert cast.input[0] == gather.output[0]


def test_what_is_computed_from_a_weight_is_stored_in_float32(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, w: x @ (w * w), X, weights={"w": TABLE}, packed=["w"]).agrees()
    assert found.operators == {"MatMul": 1}
    assert dtypes(found) == {"w": "FLOAT"}
    assert found.artifact.details["stored"] == {"float32": {"tensors": 1, "bytes": TABLE.nbytes}}


@pytest.mark.parametrize("function", [convolved, doubled])
def test_a_kernel_stays_one_kernel(function: Callable[..., Any], lower: Callable[..., Any]) -> None:
    found = lower(function, PICTURE, weights={"kernel": KERNEL}, packed=["kernel"], dialect="ort").agrees(atol=1e-5)
    assert (found.operators["Conv"], found.operators["Cast"]) == (1, 1)
    assert dtypes(found) == {"kernel": "FLOAT16"}


def test_without_a_scheme_nothing_is_told(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, w: x @ w, X, weights={"w": TABLE}).agrees()
    assert dtypes(found) == {"w": "FLOAT"}
