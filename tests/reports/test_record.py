import dataclasses

import pytest

from lwmport.reports.record import WeightsSource, overall, validation_digest
from lwmport.types import Status


def test_a_pass_says_what_agrees_with_what(good) -> None:  # noqa: ANN001
    assert good.report.status is Status.PASSED
    expected = "3 of 3 outputs agree with JAX 0.10.2 (float32, CPU), every value within tolerance."
    assert good.report.sentence == expected


def test_a_failure_names_every_output(bad) -> None:  # noqa: ANN001
    assert bad.report.status is Status.FAILED
    assert bad.report.sentence == (
        "3 of 3 outputs disagree with JAX 0.10.2 (float32, CPU): vqgan.encoder (codebook_indices, quantized_states); "
        "vqgan.decoder (pixel_values)."
    )


def test_one_failed_component_fails_the_report(good, bad) -> None:  # noqa: ANN001
    status, sentence = overall((good.report.components[0], bad.report.components[1]))
    assert status is Status.FAILED
    assert sentence.startswith("1 of 3 outputs disagree with")


def test_a_skipped_component_is_no_pass(good) -> None:  # noqa: ANN001
    first = good.report.components[0]
    absent = dataclasses.replace(first.validation, status=Status.SKIPPED, reason="atc is not installed", diffs=())
    status, sentence = overall((first, dataclasses.replace(first, validation=absent)))
    assert status is Status.SKIPPED
    assert sentence == (
        "1 of 2 components could not be compared with JAX 0.10.2 (float32, CPU): vqgan.encoder (atc is not installed)."
    )


def test_nothing_at_all_is_a_failure() -> None:
    assert overall(()) == (Status.FAILED, "There is nothing to judge.")


@pytest.mark.parametrize(
    ("kind", "note", "sentence"),
    [
        ("seeded", "Seeded random weights, not trained", "Seeded random weights, not trained: seed 0"),
        ("file", "Weights: seed 0", "Weights: seed 0"),
    ],
)
def test_weights_say_what_they_are(kind, note: str, sentence: str) -> None:  # noqa: ANN001
    weights = WeightsSource(kind=kind, description="seed 0")
    assert (weights.note, weights.sentence) == (note, sentence)


def test_the_digest_changes_with_any_number(good) -> None:  # noqa: ANN001
    validation = good.report.components[0].validation
    diff = dataclasses.replace(validation.diffs[1], metrics={**validation.diffs[1].metrics, "rmse": 0.5})
    changed = dataclasses.replace(validation, diffs=(validation.diffs[0], diff))
    assert validation_digest(changed) != validation_digest(validation) == good.report.components[0].digests[-1].sha256
