"""Weights of float16: stored so, read once, widened by one DEQUANTIZE, and computed with in float32."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.converters.tflite.schema import schema
from lwmport.models.layers import rows

RANDOM = np.random.default_rng(6)
TABLE = RANDOM.standard_normal((64, 32)).astype(np.float16)
X = RANDOM.standard_normal((3, 32)).astype(np.float32)
PLACES = np.asarray([0, 63, 5], np.int32)
CLOSE = {"rtol": 2e-3, "atol": 2e-3}


def stored(model: Any) -> dict[str, list[tuple[int, ...]]]:
    """Return the shapes of a file's constants of two axes, by dtype."""
    names = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    found: dict[str, list[tuple[int, ...]]] = {}
    for tensor in model.subgraphs[0].tensors:
        if tensor.buffer and len(tensor.shape) == 2:
            found.setdefault(names[tensor.type], []).append(tuple(map(int, tensor.shape)))
    return found


def product(x: Any, table: Any) -> Any:
    return x @ table.T.astype(jnp.float32)


def test_a_weight_is_held_in_half_and_widened(lower: Callable[..., Any]) -> None:
    found = lower(product, X, weights={"table": TABLE}).agrees(rtol=1e-5)
    assert found.operators == {"DEQUANTIZE": 1, "FULLY_CONNECTED": 1}
    assert stored(found.model) == {"FLOAT16": [(64, 32)]}
    assert found.runner.undelegated == ()
    assert TABLE.nbytes <= found.artifact.path.stat().st_size < 1.7 * TABLE.nbytes


def test_arithmetic_in_half_is_done_in_float32(lower: Callable[..., Any]) -> None:
    def function(x: Any, table: Any) -> Any:
        return jnp.exp((x.astype(jnp.float16) @ table.T) * jnp.float16(0.125)).astype(jnp.float32)

    found = lower(function, X, weights={"table": TABLE}).agrees(**CLOSE)
    assert set(found.operators) == {"DEQUANTIZE", "EXP", "FULLY_CONNECTED", "MUL"}


def test_a_tied_table_is_held_once_and_its_rows_are_widened_alone(lower: Callable[..., Any]) -> None:
    def function(x: Any, places: Any, table: Any) -> Any:
        return product(x, table), rows(table, places).astype(jnp.float32)

    found = lower(function, X, PLACES, weights={"table": TABLE}).agrees(rtol=1e-5)
    assert found.operators == {"CAST": 1, "DEQUANTIZE": 1, "FULLY_CONNECTED": 1, "GATHER": 1}
    assert stored(found.model) == {"FLOAT16": [(64, 32)]}


def test_a_tied_table_of_float32_is_held_once_too(lower: Callable[..., Any]) -> None:
    def function(x: Any, places: Any, table: Any) -> Any:
        return x @ table.T, rows(table, places)

    found = lower(function, X, PLACES, weights={"table": TABLE.astype(np.float32)}).agrees()
    assert stored(found.model) == {"FLOAT32": [(64, 32)]}


def test_what_is_computed_from_weights_is_stored_in_float32(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, table: x @ (table * table).T, X, weights={"table": TABLE}).agrees(**CLOSE)
    assert found.operators == {"FULLY_CONNECTED": 1}
    assert stored(found.model) == {"FLOAT32": [(64, 32)]}


def test_a_vector_is_stored_in_float32(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, scale: x * scale, X, weights={"scale": TABLE[0]}).agrees()
    assert found.operators == {"MUL": 1}


@pytest.mark.parametrize("shape", [(3, 32), (2, 3, 4, 5)])
def test_edges_of_float16_are_cast(shape: tuple[int, ...], lower: Callable[..., Any]) -> None:
    x = RANDOM.standard_normal(shape).astype(np.float16)
    found = lower(lambda x: (x * 2, x.astype(jnp.float32)), x).agrees(rtol=0, atol=0)
    assert found.operators["CAST"] == 2
    assert {spec.dtype for spec in found.runner.inputs} == {"float16"}
    assert found.artifact.operators.get("DEQUANTIZE", 0) == 0
