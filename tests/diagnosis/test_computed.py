"""Causes that only values show: of a device, or of an export that has no such operator."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from faults_of_tests import FAULTS
from operators_of_tests import OPERATORS, drawn, evidence, side, stored

from lwmport.diagnosis.diagnose import diagnose
from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.table import compute
from lwmport.diagnosis.lighter import ROWS, lighter


def by_value(right: Side, observed: Any, **more: Any) -> str | None:
    """Return the word for values that stand in for what an operator gives."""
    reference = compute(right)
    assert reference is not None
    found = diagnose(
        Evidence(
            format="onnx",
            expected=right,
            found=None,
            reference=stored(reference),
            observed=stored(np.asarray(observed)),
            rounding=1e-6,
            **more,
        )
    )
    return None if found is None else found.cause


def right_of(name: str, seed: int = 0) -> Side:
    return OPERATORS[name](np.random.default_rng(seed))


def given_by(one: Side) -> Any:
    found = compute(one)
    assert found is not None
    return found


def test_codes_whose_distances_tie_are_no_fault() -> None:
    one = right_of("argmin")
    x = one.inputs[0].copy()
    codes = given_by(one)
    x[0, (codes[0] + 1) % 30] = x[0, codes[0]] * (1 - 3e-7)
    tied = side("ArgMin", one.attributes, ("distances", x))
    other = codes.copy()
    other[0] = (codes[0] + 1) % 30
    assert by_value(tied, other) == "argmin-near-tie"


def test_codes_that_are_far_are_no_tie() -> None:
    one = right_of("argmin")
    other = given_by(one).copy()
    other[0] = (other[0] + 1) % 30
    assert by_value(one, other) is None


@pytest.mark.parametrize("chunk", [1, 8, 32])
@pytest.mark.parametrize("name", ["matmul", "gemm", "tflite_dense"])
def test_a_sum_in_half_precision_is_a_narrow_accumulator(name: str, chunk: int) -> None:
    one = right_of(name)
    x, kernel = one.inputs[0], one.inputs[1] if name == "matmul" else one.inputs[1].T
    flat = x.reshape(-1, 32).astype(np.float32)
    total = np.zeros((len(flat), 32), np.float16)
    for at in range(0, 32, chunk):
        total = (total + flat[:, at : at + chunk] @ kernel[at : at + chunk]).astype(np.float16)
    bias = one.inputs[2] if len(one.inputs) > 2 else np.float32(0)
    found = total.astype(np.float32).reshape(*x.shape[:-1], 32) + bias
    expected = {"narrow-accumulator", "wrong-dtype"} if chunk == 32 else {"narrow-accumulator"}
    assert by_value(one, found) in expected | ({None} if chunk == 32 else set())


def test_rounded_inputs_are_a_wrong_dtype() -> None:
    one = right_of("matmul")
    half = one.inputs[0].astype(np.float16).astype(np.float32)
    assert by_value(one, half @ one.inputs[1]) == "wrong-dtype"


def test_an_output_that_is_read_in_another_layout_is_told() -> None:
    one = right_of("conv")
    right = given_by(one)
    assert by_value(one, right.transpose(0, 2, 3, 1).reshape(right.shape)) == "wrong-layout"


def test_channels_that_are_exchanged_are_told() -> None:
    one = right_of("conv")
    right = given_by(one)
    right[:, [1, 2]] = right[:, [2, 1]]
    assert by_value(one, right) == "wrong-order"


def test_rows_in_which_all_is_hidden_are_an_overflow() -> None:
    x = drawn(np.random.default_rng(0), 1, 2, 8, 8)
    x[:, :, 0] = -3e38
    one = side("Softmax", {"axis": -1}, ("x", x))
    lost = given_by(one)
    lost[:, :, 0] = np.nan
    assert by_value(one, lost) == "mask-overflow"


def test_nan_elsewhere_is_no_mask() -> None:
    one = right_of("softmax")
    lost = given_by(one)
    lost[0, 0, 0] = np.nan
    assert by_value(one, lost) is None


def test_positions_of_a_rotary_embedding_may_be_rounded() -> None:
    random = np.random.default_rng(0)
    cos, sin = (drawn(random, 5000, 8) for _ in range(2))
    places = np.array([[2049, 2051, 4099, 4101]])
    inputs = (("x", drawn(random, 1, 4, 32)), ("positions", places), ("=cos", cos), ("=sin", sin))
    one = side("com.microsoft::RotaryEmbedding", {"interleaved": 1}, *inputs)
    half = ("positions", places.astype(np.float16).astype(np.int64))
    rounded = side("com.microsoft::RotaryEmbedding", {"interleaved": 1}, inputs[0], half, *inputs[2:])
    assert by_value(one, given_by(rounded)) == "half-precision-positions"


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("share", [1e-7, 1e-3, 0.3, 3.0])
def test_noise_has_no_cause(name: str, share: float) -> None:
    for seed in range(3):
        random = np.random.default_rng([7, seed])
        one = OPERATORS[name](random)
        right = given_by(one)
        if right.dtype.kind == "f":
            finite = right[np.abs(right) < 1e30]
            assert by_value(one, right + share * np.abs(finite).max() * random.standard_normal(right.shape)) is None


@pytest.mark.parametrize("name", OPERATORS)
def test_what_is_equal_has_no_cause(name: str) -> None:
    one = right_of(name)
    assert by_value(one, given_by(one)) is None


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("value", [0, 1, np.nan, np.inf, -np.inf])
def test_values_that_are_all_lost_have_no_wrong_cause(name: str, value: float) -> None:
    one = right_of(name)
    right = given_by(one)
    if right.dtype.kind == "f":
        assert by_value(one, np.full(right.shape, value)) is None


def test_another_shape_has_no_cause_by_value() -> None:
    one = right_of("matmul")
    assert by_value(one, given_by(one)[:, :5]) is None


def test_nothing_is_said_where_nothing_is_right() -> None:
    values = drawn(np.random.default_rng(0), 4, 4)
    known = {"format": "onnx", "expected": None, "found": right_of("conv"), "rounding": 1e-6}
    assert diagnose(Evidence(reference=values, observed=values + 1, **known)) is None


def test_a_cast_that_the_reference_has_not_is_told_by_its_output() -> None:
    values = drawn(np.random.default_rng(0), 4, 40)
    found = side("Cast", {"to": 10}, ("x", values))
    told = diagnose(
        Evidence(
            format="onnx",
            expected=None,
            found=found,
            reference=values,
            observed=values.astype(np.float16).astype(np.float32),
            rounding=1e-6,
        )
    )
    assert told is not None
    assert told.cause == "wrong-dtype"


@pytest.mark.parametrize("word", ["stale-weights", "wrong-order", "transposed-kernel", "rounded-weights"])
def test_a_kernel_is_solved_for_where_rows_are_enough(word: str) -> None:
    one = right_of("long_matmul")
    for wrong in FAULTS[word](one, np.random.default_rng(1)):
        assert by_value(one, given_by(wrong)) == word


def test_a_few_rows_of_a_large_kernel_tell_as_much() -> None:
    random = np.random.default_rng(0)
    one = side("MatMul", {}, ("x", drawn(random, 1, 40, 2048)), ("=w/kernel", drawn(random, 2048, 2048)))
    right = given_by(one)
    less = lighter(Evidence(format="onnx", expected=one, found=None, reference=right, observed=right * 2, rounding=0))
    assert less.reference.shape[1:] == (2048,)
    assert len(less.reference) <= ROWS
    same = given_by(side("MatMul", {}, ("x", less.expected.inputs[0]), ("=w/kernel", one.inputs[1])))
    np.testing.assert_allclose(less.reference, same, rtol=1e-6)


def test_two_causes_that_explain_alike_are_none() -> None:
    """A bias of the other sign, and Sub for Add, give the same."""
    one = right_of("bias_add")
    assert by_value(one, one.inputs[0] - one.inputs[1]) is None


def test_a_weight_that_the_reference_unpacks_is_a_constant() -> None:
    one = right_of("tflite_dense")
    computed = replace(one, constant=(False, False, True), names=("x", "DEQUANTIZE_1", "w1/bias"))
    wrong = replace(one, inputs=(one.inputs[0], one.inputs[1].T, one.inputs[2]))
    packed = replace(evidence("tflite_dense", computed, wrong), expected_around=("DEQUANTIZE", "FULLY_CONNECTED"))
    told = diagnose(packed)
    assert told is not None
    assert told.cause == "transposed-kernel"


def test_to_scale_what_has_one_size_is_to_clip_it() -> None:
    one = right_of("tflite_turn")
    assert by_value(one, given_by(one) * 0.1) is None
    scaled = replace(one, inputs=(one.inputs[0], one.inputs[1] * np.float32(0.1)))
    assert diagnose(evidence("tflite_turn", one, scaled)) is None


def test_evidence_of_a_file_is_held_against_the_error() -> None:
    """An epsilon that differs a little does not explain what is quite another error."""
    one = right_of("layer_norm")
    other = evidence("layer_norm", one, Side(**{**vars(one), "attributes": {"axis": -1, "epsilon": 1.1e-5}}))
    wrong = Evidence(**{**vars(other), "observed": other.observed + other.observed[::-1]})
    told, silent = diagnose(other), diagnose(wrong)
    assert told is not None
    assert told.cause == "wrong-epsilon"
    assert silent is None
