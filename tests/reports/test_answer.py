"""The sentences that page, Markdown, terminal, index and bundle say: what was proven, on what, where, what was not."""

import dataclasses
from typing import Any

from lwmport.choices import Choice
from lwmport.reports import render
from lwmport.reports.answer import answer, answered, assemble, words_of_inputs
from lwmport.reports.record import ComponentReport, Destination, InputsFact, Report
from lwmport.types import Status
from lwmport.verdicts import Fault

ASCEND = Destination(name="Ascend 310P3")


def with_parts(report: Report, *parts: ComponentReport, **changes: Any) -> Report:
    return answered(dataclasses.replace(report, components=parts, **changes))


def on(part: ComponentReport, inputs: str) -> ComponentReport:
    return dataclasses.replace(part, validation=dataclasses.replace(part.validation, inputs=inputs))


def unjudged(part: ComponentReport, reason: str) -> ComponentReport:
    validation = dataclasses.replace(part.validation, status=Status.NOT_JUDGED, reason=reason, diffs=())
    return dataclasses.replace(part, validation=validation)


def test_a_pass_says_on_what_where_and_what_was_not_done(good) -> None:  # noqa: ANN001
    encoder, _ = good.report.components
    report = with_parts(good.report, on(encoder, "photographs: china"), destination=ASCEND)
    assert report.status is Status.PASSED
    assert report.sentence == (
        "Numerically equal on a CPU (1 photograph): 2 of 2 outputs agree with JAX 0.10.2 (float32, CPU), every value "
        "within tolerance. Not compiled for, not run on Ascend 310P3."
    )


def test_what_was_compiled_or_run_is_no_longer_undone(good) -> None:  # noqa: ANN001
    part = good.report.components[0]
    compiled = with_parts(good.report, part, destination=dataclasses.replace(ASCEND, compiled=True))
    assert compiled.sentence.endswith("Compiled for Ascend 310P3, not run on it.")
    ran = dataclasses.replace(on(part, "3 golden samples"), where="Ascend 310P3", on_device=True)
    both = with_parts(good.report, on(part, "photographs: a, b"), ran, destination=ASCEND)
    assert "on a CPU (2 photographs) and on Ascend 310P3 (3 golden samples): 4 of 4" in both.sentence
    assert "Not compiled" not in both.sentence
    assert "Not compiled" not in with_parts(good.report, part, destination=None).sentence


def test_a_failure_names_every_output(bad) -> None:  # noqa: ANN001
    assert bad.report.status is Status.FAILED
    assert "2 of 2 outputs of vqgan.encoder disagree with JAX 0.10.2 (float32, CPU) (codebook_indices, " in (
        bad.report.sentence
    )
    assert "1 of 1 outputs of vqgan.decoder disagree" in bad.report.sentence
    assert bad.report.sentence.startswith("Not equal on a CPU")


def test_one_failed_component_fails_the_report(good, bad) -> None:  # noqa: ANN001
    report = with_parts(good.report, good.report.components[0], bad.report.components[1])
    assert report.status is Status.FAILED
    assert "vqgan.encoder: numerically equal on a CPU" in report.sentence


def test_not_judged_is_no_pass_and_its_cause_goes_first(good) -> None:  # noqa: ANN001
    first, second = good.report.components
    report = with_parts(good.report, first, unjudged(second, "run: pip install onnxruntime"))
    assert report.status is Status.NOT_JUDGED
    assert report.sentence.startswith(
        "Not judged: run: pip install onnxruntime (vqgan.decoder). vqgan.encoder: numeric"
    )
    same = with_parts(good.report, unjudged(first, "no runtime"), unjudged(second, "no runtime"))
    assert same.sentence == "Not judged: no runtime (vqgan.encoder, vqgan.decoder)."


def test_a_failure_goes_before_what_was_not_judged(good, bad) -> None:  # noqa: ANN001
    report = with_parts(good.report, unjudged(good.report.components[0], "no runtime"), bad.report.components[1])
    assert report.status is Status.FAILED
    assert report.sentence.index("Not equal") < report.sentence.index("Not judged: no runtime")


def test_a_file_that_changed_is_said_in_place_of_the_numbers(good) -> None:  # noqa: ANN001
    fault = Fault(status=Status.FAILED, reason="x.onnx is not the file that was converted")
    report = with_parts(good.report, dataclasses.replace(good.report.components[0], faults=(fault,)))
    assert (report.status, fault.reason in report.sentence) == (Status.FAILED, True)
    assert "equal on" not in report.sentence.replace("Not equal on", "")


def test_components_that_are_left_out_are_named(good) -> None:  # noqa: ANN001
    report = with_parts(good.report, good.report.components[0], left_out=("vqgan.decoder",))
    assert report.sentence.endswith("Not judged here: vqgan.decoder.")


def test_nothing_at_all_is_not_judged(good) -> None:  # noqa: ANN001
    facts = {name: getattr(good.report, name) for name in ("title", "weights", "versions", "machine", "commands")}
    report = assemble(**facts, components=())
    assert (report.status, answer(report)) == (Status.NOT_JUDGED, "Not judged: there is nothing to judge.")


def test_inputs_are_said_in_few_words(good) -> None:  # noqa: ANN001
    part, report = good.report.components[0], good.report
    assert words_of_inputs(on(part, "outputs of e for photographs: a, b, c"), report) == "3 photographs"
    assert words_of_inputs(on(part, "seeded numbers (seed 20)"), report) == "seeded numbers (seed 20)"
    assert words_of_inputs(on(part, "prefill: " + "x" * 90 + "; decode: y"), report) == "2 cases"


def test_many_outputs_are_counted_not_listed(bad) -> None:  # noqa: ANN001
    part = bad.report.components[0]
    diffs = tuple(dataclasses.replace(part.validation.diffs[0], name=f"present.{n}.key") for n in range(64))
    long = dataclasses.replace(part, validation=dataclasses.replace(part.validation, diffs=diffs))
    assert "present.4.key, and 59 more)" in with_parts(bad.report, long).sentence


def test_choices_and_inputs_of_the_record_stand_on_the_first_screen(good) -> None:  # noqa: ANN001
    choice = Choice("theta", 10000000, "--config lwm-chat-1m")
    facts = InputsFact(words="3 photographs", source="its own", samples=3)
    report = answered(dataclasses.replace(good.report, choices=(choice,), inputs=facts))
    assert "on a CPU (3 photographs)" in report.sentence
    first = render.html(report, good.files).partition("<nav")[0]
    assert all(words in first for words in ("theta 10000000 (--config lwm-chat-1m)", "3 photographs"))
    assert "- theta 10000000 (--config lwm-chat-1m)" in render.markdown(report)
