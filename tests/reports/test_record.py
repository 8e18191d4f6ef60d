import dataclasses

import pytest

from lwmport.reports.record import WeightsSource, validation_digest
from lwmport.types import Status
from lwmport.verdicts import Fault


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


def test_the_verdict_on_a_component_is_that_on_its_numbers_and_its_files(good) -> None:  # noqa: ANN001
    part = good.report.components[0]
    assert (part.status, part.reason) == (Status.PASSED, part.validation.reason)
    changed = Fault(status=Status.FAILED, reason="x.onnx is not the file that was converted")
    missing = Fault(status=Status.NOT_JUDGED, reason="y.data: expected a file of the artifact, found none")
    failed = dataclasses.replace(part, faults=(missing, changed))
    assert (failed.status, failed.reason) == (Status.FAILED, changed.reason)
    unjudged = dataclasses.replace(part, faults=(missing,))
    assert (unjudged.status, unjudged.reason) == (Status.NOT_JUDGED, missing.reason)


def test_what_a_description_says_already_is_said_once() -> None:
    weights = WeightsSource(kind="seeded", description="seeded random weights (seed 0), not trained")
    assert weights.sentence == "Seeded random weights (seed 0), not trained"
