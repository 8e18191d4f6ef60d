"""The verdict: what must fail, fails, with a reason that names both sides."""

from collections.abc import Callable

import numpy as np
import pytest

from lwmport.models.vqgan.tolerances import TOLERANCES
from lwmport.types import Array, Kind, Quantized, Status, TensorDiff, TensorSpec, Tolerance
from lwmport.validators.outputs import compare_outputs, not_judged, summarise, verdict

CODES = TensorSpec(name="codebook_indices", shape=("batch", 16, 16), dtype="int32", kind=Kind.INDICES)
STATES = TensorSpec(name="quantized_states", shape=("batch", 16, 16, 64), dtype="float32")
PIXELS = TensorSpec(
    name="pixel_values", shape=("batch", 32, 32, 3), dtype="float32", kind=Kind.PICTURE, value_range=(-1.0, 1.0)
)
OUTPUTS = (CODES, STATES, PIXELS)
Outputs = dict[str, Array]


def arrays() -> Outputs:
    random = np.random.default_rng(5)
    return {
        "codebook_indices": random.integers(0, 8192, (1, 16, 16), np.int32),
        "quantized_states": random.standard_normal((1, 16, 16, 64), np.float32),
        "pixel_values": random.uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32),
    }


def compared(candidate: Outputs, reference: Outputs | None = None) -> dict[str, TensorDiff]:
    diffs = compare_outputs(TOLERANCES, OUTPUTS, reference or arrays(), candidate)
    return {diff.name: diff for diff in diffs}


def test_equal_outputs_pass_with_their_numbers() -> None:
    found = compared(arrays())
    assert [diff.status for diff in found.values()] == [Status.PASSED] * 3
    assert found["codebook_indices"].reason == "all 256 integers are equal"
    assert found["pixel_values"].metrics["worst_ssim"] == pytest.approx(1)
    assert found["quantized_states"].metrics["histogram"]["zeros"] == 16 * 16 * 64


def renamed(outputs: Outputs) -> None:
    outputs["codebook_indexes"] = outputs.pop("codebook_indices")


def missing(outputs: Outputs) -> None:
    del outputs["quantized_states"]


def extra(outputs: Outputs) -> None:
    outputs["loss"] = np.zeros(1, np.float32)


def channels_first(outputs: Outputs) -> None:
    outputs["pixel_values"] = outputs["pixel_values"].transpose(0, 3, 1, 2)


def wide_integers(outputs: Outputs) -> None:
    outputs["codebook_indices"] = outputs["codebook_indices"].astype(np.int64)


def float_integers(outputs: Outputs) -> None:
    outputs["codebook_indices"] = outputs["codebook_indices"].astype(np.float32)


def half_pixels(outputs: Outputs) -> None:
    outputs["pixel_values"] = outputs["pixel_values"].astype(np.float16)


def second_batch(outputs: Outputs) -> None:
    outputs["pixel_values"] = np.repeat(outputs["pixel_values"], 2, axis=0)


def flattened(outputs: Outputs) -> None:
    outputs["codebook_indices"] = outputs["codebook_indices"].reshape(1, 256)


def one_index(outputs: Outputs) -> None:
    outputs["codebook_indices"][0, 15, 15] ^= 1


def one_nan(outputs: Outputs) -> None:
    outputs["quantized_states"][0, 1, 2, 3] = np.nan


def pixel_bias(outputs: Outputs) -> None:
    outputs["pixel_values"][..., 2] += np.float32(0.01)


def none_at_all(outputs: Outputs) -> None:
    outputs.clear()


SABOTAGE = {
    renamed: "codebook_indices: missing: expected 'codebook_indices', the candidate has 'quantized_states', "
    "'pixel_values', 'codebook_indexes'; 'codebook_indexes' looks like it renamed",
    missing: "quantized_states: missing",
    extra: "loss: unexpected: the signature has 'codebook_indices'",
    channels_first: "pixel_values: shape: expected [batch, 32, 32, 3], the candidate has [1, 3, 32, 32]",
    wide_integers: "codebook_indices: dtype: expected int32, the candidate has int64",
    float_integers: "codebook_indices: dtype: expected int32, the candidate has float32",
    half_pixels: "pixel_values: dtype: expected float32, the candidate has float16",
    second_batch: "pixel_values: shape: the reference has [1, 32, 32, 3], the candidate [2, 32, 32, 3]",
    flattened: "codebook_indices: shape: expected [batch, 16, 16], the candidate has [1, 256]",
    one_index: "codebook_indices: 1 of 256 integers differ",
    one_nan: "quantized_states: 1 of 16,384 values are out of tolerance (atol 0.0001, rtol 0); largest error inf; "
    "1 NaN in the candidate",
    pixel_bias: "pixel_values: 1,024 of 3,072 values are out of tolerance",
    none_at_all: "the candidate has none",
}


@pytest.mark.parametrize("break_", SABOTAGE, ids=lambda function: function.__name__)
def test_sabotage_fails_with_its_reason(break_: Callable[[Outputs], None]) -> None:
    candidate = arrays()
    break_(candidate)
    status, reason = summarise(compare_outputs(TOLERANCES, OUTPUTS, arrays(), candidate))
    assert status is Status.FAILED
    assert SABOTAGE[break_] in reason


def test_a_nan_on_both_sides_fails() -> None:
    candidate = arrays()
    one_nan(candidate)
    found = compared(candidate, candidate)["quantized_states"]
    assert found.status is Status.FAILED
    assert found.reason.endswith("1 NaN in the reference; 1 NaN in the candidate")


def test_a_broken_reference_fails_and_says_whose_fault_it_is() -> None:
    reference = arrays()
    reference["pixel_values"] = reference["pixel_values"].astype(np.float64)
    assert compared(arrays(), reference)["pixel_values"].reason == "dtype: expected float32, the reference has float64"


def test_an_empty_set_of_outputs_is_not_judged() -> None:
    assert summarise(()) == (Status.NOT_JUDGED, "there was no output to compare")


def test_an_empty_batch_fails() -> None:
    nothing = {name: array[:0] for name, array in arrays().items()}
    assert {diff.status for diff in compared(nothing, nothing).values()} == {Status.FAILED}


def test_one_failure_outweighs_every_pass_and_skip() -> None:
    def diff(status: Status) -> TensorDiff:
        tolerance = Tolerance(atol=0.0, rtol=0.0, why="")
        return TensorDiff(name=status, kind=Kind.VALUES, status=status, reason="why", tolerance=tolerance, metrics={})

    passed, failed, left_out = map(diff, (Status.PASSED, Status.FAILED, Status.NOT_JUDGED))
    assert summarise((passed, left_out, failed)) == (Status.FAILED, "failed: why")
    assert summarise((passed, left_out)) == (Status.NOT_JUDGED, "not judged: why")


def tied() -> tuple[Outputs, dict[str, Quantized]]:
    """Return outputs whose states are rows of a codebook, and what was quantized.

    The code after each place's own is as far away but for a few thousandths: every place is a near tie.
    """
    random = np.random.default_rng(6)
    codebook = random.standard_normal((512, 64)).astype(np.float32)
    codes = 2 * np.arange(256, dtype=np.int32).reshape(1, 16, 16)
    vectors = 0.5002 * codebook[codes] + 0.4998 * codebook[codes + 1]
    outputs = arrays() | {"codebook_indices": codes, "quantized_states": codebook[codes]}
    return outputs, {"codebook_indices": Quantized(states=STATES.name, vectors=vectors, codebook=codebook)}


def chosen(count: int, step: int = 1) -> Outputs:
    """Return the outputs of a candidate that chose another code at some places, and its states."""
    outputs, made_of = tied()
    outputs["codebook_indices"].reshape(-1)[:count] += step
    codebook = made_of["codebook_indices"].codebook
    outputs["quantized_states"] = codebook[outputs["codebook_indices"]]
    return outputs


def judged(candidate: Outputs, precision: str) -> list[tuple[Status, str]]:
    reference, made_of = tied()
    diffs = compare_outputs(TOLERANCES, OUTPUTS, reference, candidate, precision=precision, quantized=made_of)
    return [(diff.status, diff.reason) for diff in diffs][:2]


def test_near_ties_pass_where_float16_is_computed_in() -> None:
    (codes, why), (states, _) = judged(chosen(8), "float16")
    assert (codes, states) == (Status.PASSED, Status.PASSED)
    assert why.startswith("248 of 256 integers are equal, 8 are near ties (distance at most 0.00")


def far_away(outputs: Outputs) -> None:
    outputs.update(chosen(1, step=3))


def too_many(outputs: Outputs) -> None:
    outputs.update(chosen(9))


def another_beside_a_near_tie(outputs: Outputs) -> None:
    outputs.update(chosen(1))
    outputs["codebook_indices"].reshape(-1)[7] += 3


def outside_the_codebook(outputs: Outputs) -> None:
    outputs["codebook_indices"].reshape(-1)[7] = 512


@pytest.mark.parametrize("break_", [far_away, too_many, another_beside_a_near_tie, outside_the_codebook])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_other_codes_fail_in_every_precision(break_: Callable[[Outputs], None], precision: str) -> None:
    candidate, _ = tied()
    break_(candidate)
    assert judged(candidate, precision)[0][0] is Status.FAILED


def test_near_ties_fail_in_float32_and_say_how_near() -> None:
    diffs = compare_outputs(TOLERANCES, OUTPUTS, tied()[0], chosen(1), quantized=tied()[1])
    assert (diffs[0].status, diffs[0].reason) == (Status.FAILED, "1 of 256 integers differ")
    assert 0 < diffs[0].metrics["largest_tie_distance"] < 0.01


def test_too_many_say_how_many_may() -> None:
    why = judged(chosen(9), "float16")[0][1]
    assert why.startswith("9 of 256 integers differ; near ties may, 8 at most, up to a distance of 0.01; largest found")


def test_states_must_be_those_of_the_code_that_was_chosen() -> None:
    candidate = chosen(1)
    candidate["quantized_states"] = tied()[0]["quantized_states"]
    (codes, _), (states, why) = judged(candidate, "float16")
    assert (codes, states) == (Status.PASSED, Status.FAILED)
    assert "of 16,384 values are out of tolerance" in why


def test_without_the_vectors_no_code_is_excused() -> None:
    found = compare_outputs(TOLERANCES, OUTPUTS, tied()[0], chosen(1), precision="float16")
    assert [diff.status for diff in found[:2]] == [Status.FAILED] * 2


def test_integer_values_are_compared_exactly_whatever_they_are_called() -> None:
    spec = TensorSpec(name="count", shape=(1,), dtype="int64")
    large = np.array([2**53])
    diff = compare_outputs(TOLERANCES, (spec,), {"count": large}, {"count": large + 1})[0]
    assert (diff.status, diff.kind) == (Status.FAILED, Kind.INDICES)


def test_the_verdict_carries_what_was_compared() -> None:
    diffs = compare_outputs(TOLERANCES, OUTPUTS, arrays(), arrays())
    facts = {"component": "encoder", "artifact": "encoder.onnx", "reference": "jax", "runner": "ort", "inputs": "noise"}
    found = verdict(**facts, diffs=diffs, timings={"ort": 1.5})
    assert (found.status, found.reason) == (Status.PASSED, "3 of 3 outputs within tolerance")
    assert (found.inputs, found.timings) == ("noise", {"ort": 1.5})
    absent = not_judged(**facts, reason="atc is not installed")
    assert (absent.status, absent.reason, absent.diffs) == (Status.NOT_JUDGED, "atc is not installed", ())


def test_what_ran_before_a_runtime_gave_up_still_fails() -> None:
    wrong = {name: array + 1 for name, array in arrays().items()}
    facts = {"component": "encoder", "artifact": "encoder.onnx", "reference": "jax", "runner": "ort", "inputs": "noise"}
    passed = not_judged(**facts, reason="gave up", diffs=compare_outputs(TOLERANCES, OUTPUTS, arrays(), arrays()))
    assert (passed.status, passed.reason) == (Status.NOT_JUDGED, "gave up")
    failed = not_judged(**facts, reason="gave up", diffs=compare_outputs(TOLERANCES, OUTPUTS, arrays(), wrong))
    assert failed.status is Status.FAILED
    assert failed.reason.endswith("; gave up")


def test_a_systematic_error_fails_though_no_single_value_does() -> None:
    spec = TensorSpec(name="pixel_values", shape=(1, 8, 8, 3), dtype="float32", kind=Kind.PICTURE)
    reference = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    for error, status in ((1e-6, Status.PASSED), (1e-5, Status.FAILED)):
        candidate = (reference + np.float32(error)).astype(np.float32)
        (diff,) = compare_outputs(TOLERANCES, (spec,), {spec.name: reference}, {spec.name: candidate})
        assert diff.status is status, diff.reason
        assert ("the error is systematic" in diff.reason) is (status is Status.FAILED)
