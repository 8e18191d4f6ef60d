"""The inputs of another model's file, out of our component's cases."""

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.pipeline.bisect.fitted_inputs import expected_output, fitted
from lwmport.types import Component, Signature, TensorSpec

IDS = TensorSpec(name="input_ids", shape=("batch", "sequence"), dtype="int64")
MASK = TensorSpec(name="attention_mask", shape=("batch", "past + sequence"), dtype="int64")
PLACES = TensorSpec(name="position_ids", shape=("batch", "sequence"), dtype="int64")
PAST = TensorSpec(name="past.key", shape=("batch", 2, "past", 4), dtype="float32")
LOGITS = TensorSpec(name="logits", shape=("batch", "sequence", 5), dtype="float32")


def component(*inputs: TensorSpec) -> Component:
    signature = Signature(inputs=inputs, outputs=(LOGITS,))
    return Component(name="text", family="f", signature=signature, weights={}, config={}, apply=lambda _, __: {})


def case(batch: int, sequence: int, past: int) -> dict[str, np.ndarray]:
    return {
        "input_ids": np.arange(batch * sequence).reshape(batch, sequence),
        "attention_mask": np.ones((batch, past + sequence), np.int64),
        "position_ids": np.tile(np.arange(past, past + sequence), (batch, 1)),
        "past.key": np.random.default_rng(0).standard_normal((batch, 2, past, 4)).astype(np.float32),
    }


def test_sizes_that_the_file_fixes_cut_our_case() -> None:
    file = (
        TensorSpec(name="ids", shape=(1, 3), dtype="int32"),
        TensorSpec(name="past.key", shape=(1, 2, 4, 4), dtype="float16"),
        TensorSpec(name="position_ids", shape=(1, 3), dtype="int64"),
    )
    outputs = (TensorSpec(name="out", shape=(1, 3, 5), dtype="float32"),)
    found = fitted(component(IDS, MASK, PLACES, PAST), [case(2, 9, 0), case(2, 9, 6)], file, outputs)
    assert {name: (value.shape, value.dtype.name) for name, value in found.feeds.items()} == {
        "ids": ((1, 3), "int32"),
        "past.key": ((1, 2, 4, 4), "float16"),
        "position_ids": ((1, 3), "int64"),
    }
    assert found.inputs["position_ids"].tolist() == [[4, 5, 6]]
    assert found.inputs["attention_mask"].shape == (1, 7)
    assert found.outputs == {"out": "logits"}


def test_a_file_without_a_cache_runs_the_case_without_one() -> None:
    file = (TensorSpec(name="input_ids", shape=("b", "s"), dtype="int64"),)
    found = fitted(component(IDS, MASK, PLACES, PAST), [case(2, 9, 6), case(2, 9, 0)], file, (LOGITS,))
    assert found.inputs["past.key"].shape == (1, 2, 0, 4)
    with pytest.raises(UsageError, match=r"no case of its own without .*past\.key"):
        fitted(component(IDS, MASK, PLACES, PAST), [case(2, 9, 6)], file, (LOGITS,))


def test_pictures_are_turned_to_the_layout_of_the_file() -> None:
    picture = TensorSpec(name="pixel_values", shape=("batch", 4, 4, 3), dtype="float32")
    value = np.random.default_rng(0).standard_normal((2, 4, 4, 3)).astype(np.float32)
    file = (TensorSpec(name="x", shape=(1, 3, 4, 4), dtype="float32"),)
    output = TensorSpec(name="y", shape=(1, 5, "n"), dtype="float32")
    found = fitted(component(picture), [{"pixel_values": value}], file, (output,))
    assert found.feeds["x"].shape == (1, 3, 4, 4)
    assert np.array_equal(found.feeds["x"][0, 0], value[0, :, :, 0])
    right = np.random.default_rng(1).standard_normal((1, 3, 5)).astype(np.float32)
    laid, view = expected_output(right, output, 0)
    assert laid.shape == (1, 5, 3)
    assert np.array_equal(view.back(laid, right.shape), right)


def test_inputs_that_are_another_models_are_refused_in_one_line() -> None:
    file = (TensorSpec(name="audio", shape=(1, 100), dtype="float32"),)
    with pytest.raises(UsageError, match=r"expected inputs among input_ids, found audio float32\[1, 100\]"):
        fitted(component(IDS), [case(1, 3, 0)], file, (LOGITS,))
    other = (TensorSpec(name="labels", shape=(1,), dtype="int64"),)
    with pytest.raises(UsageError, match="expected outputs like those of text"):
        fitted(component(IDS), [case(1, 3, 0)], (IDS,), other)
