"""The peak of a program's values, counted by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from lwmport.errors import LoweringError
from lwmport.graphs.liveness import peak_of
from lwmport.graphs.symbols import number_of
from lwmport.graphs.trace import DYNAMIC, trace
from lwmport.models.composites.basic import silu, softmax
from lwmport.types import Component, Signature, TensorSpec, WeightSpec

KIB = 1024


def peak(function: Any, whole: tuple[str, ...] = ("lwmport.silu", "lwmport.softmax"), batch: int = 1) -> int:
    """Return the peak of a function of x [batch, 16, 16] in float32, which is one KiB a row of the batch."""
    spec = TensorSpec(name="x", shape=("batch", 16, 16), dtype="float32")
    component = Component(
        name="c",
        family="f",
        signature=Signature(inputs=(spec,), outputs=(TensorSpec(name="y", shape=("batch", 16, 16), dtype="float32"),)),
        weights={"w": WeightSpec(shape=(16, 16), dtype="float32")},
        config={},
        apply=lambda weights, inputs: {"y": function(inputs["x"], weights["w"])},
    )
    return peak_of(trace(component, DYNAMIC), {"batch": batch}, whole).bytes


def test_what_writes_over_its_operand_takes_nothing_more() -> None:
    assert peak(lambda x, _: jnp.exp(silu(x))) == KIB


def test_a_product_has_operand_and_result_and_no_weight() -> None:
    assert peak(lambda x, w: x @ w @ w @ w) == 2 * KIB


def test_a_value_that_is_read_later_stays() -> None:
    assert peak(lambda x, w: x + (x @ w @ w)) == 3 * KIB


def test_a_batch_is_counted_as_often_as_it_is_large() -> None:
    assert peak(lambda x, w: x @ w, batch=5) == 2 * 5 * KIB


def test_a_view_takes_nothing() -> None:
    assert peak(lambda x, w: (x.reshape(-1, 256).reshape(x.shape)) @ w) == 2 * KIB


def test_a_composite_without_an_operator_counts_what_is_inside() -> None:
    assert peak(lambda x, w: softmax(x @ w)) == 2 * KIB
    assert peak(lambda x, w: softmax(x @ w), whole=()) > 2 * KIB


def test_a_loop_counts_one_round() -> None:
    def looped(x: Any, w: Any) -> Any:
        return jax.lax.fori_loop(0, 9, lambda _, carry: jnp.tanh(carry @ w @ w), x)

    assert 2 * KIB <= peak(looped) < 5 * KIB


@pytest.mark.parametrize(
    ("text", "number"),
    [("batch", 3), ("2*batch + -1*past", 2), ("past^2", 16), ("floordiv(past, batch)", 1), ("max(batch, past)", 4)],
)
def test_sizes_are_numbers(text: str, number: int) -> None:
    assert number_of(text, {"batch": 3, "past": 4}) == number


@pytest.mark.parametrize("text", ["other", "batch.real", "f(batch, 1)", "1 +"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(LoweringError, match="expected a size out of batch"):
        number_of(text, {"batch": 3})
