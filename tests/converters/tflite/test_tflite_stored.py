"""Float32 weights stored in float16: one DEQUANTIZE behind each, and no minimal algorithm, which would enlarge them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from lwmport.converters.tflite.schema import schema
from lwmport.converters.tflite.winograd import MIN_CHANNELS
from lwmport.models.composites import basic as composites
from lwmport.models.layers import rows

RANDOM = np.random.default_rng(6)
TABLE = RANDOM.standard_normal((64, 32)).astype(np.float32)
KERNEL = (RANDOM.standard_normal((3, 3, MIN_CHANNELS, 72)) / 24).astype(np.float32)
X = RANDOM.standard_normal((3, 64)).astype(np.float32)
PICTURE = RANDOM.standard_normal((1, 32, 32, MIN_CHANNELS)).astype(np.float32)
PLACES = np.asarray([0, 63, 5], np.int32)


def halves(found: Any) -> list[tuple[int, ...]]:
    """Return the shapes of a file's constants of float16."""
    tensors = found.model.subgraphs[0].tensors
    return [tuple(map(int, tensor.shape)) for tensor in tensors if tensor.type == schema.TensorType.FLOAT16]


def convolved(x: Any, kernel: Any) -> Any:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def doubled(x: Any, kernel: Any) -> Any:
    return convolved(composites.upsample_nearest(x, factor=2), kernel)


def test_a_matrix_is_dequantized_and_the_delegate_takes_it(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, w: x @ w, X, weights={"w": TABLE}, packed=["w"]).agrees()
    assert found.operators == {"DEQUANTIZE": 1, "FULLY_CONNECTED": 1}
    assert halves(found) == [(32, 64)]
    assert found.runner.undelegated == ()
    assert found.artifact.details["stored"] == {"float16": {"tensors": 1, "bytes": TABLE.nbytes // 2}}


def test_rows_of_a_table_are_cast_and_the_table_is_not(lower: Callable[..., Any]) -> None:
    found = lower(lambda at, w: rows(w, at), PLACES, weights={"w": TABLE}, packed=["w"]).agrees(rtol=0, atol=0)
    assert found.operators == {"CAST": 1, "GATHER": 1}
    assert TABLE.shape in halves(found)


def test_what_is_computed_from_a_weight_is_stored_in_float32(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, w: x @ (w * w), X, weights={"w": TABLE}, packed=["w"]).agrees()
    assert found.operators == {"FULLY_CONNECTED": 1}
    assert halves(found) == []


@pytest.mark.parametrize("function", [convolved, doubled])
def test_a_kernel_stays_one_kernel(function: Callable[..., Any], lower: Callable[..., Any]) -> None:
    found = lower(function, PICTURE, weights={"kernel": KERNEL}, packed=["kernel"]).agrees(atol=1e-5)
    assert (found.operators["CONV_2D"], found.operators["DEQUANTIZE"]) == (1, 1)
    assert halves(found) == [(72, 3, 3, MIN_CHANNELS)]
    assert found.runner.undelegated == ()
