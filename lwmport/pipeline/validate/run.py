"""Judging an artifact again, later or elsewhere: against JAX, or against another artifact."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lwmport import atomic, manifest, owned
from lwmport.errors import UsageError
from lwmport.pipeline.budget_record import missed_by
from lwmport.pipeline.convert.output_folder import check_names
from lwmport.pipeline.convert.request import Outcome
from lwmport.pipeline.convert.validation import new_report
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.input_words import together
from lwmport.pipeline.validate.model_file import JudgedFile, Known, judged_file
from lwmport.pipeline.validate.reference_runs import check_given
from lwmport.pipeline.validate.request import INTEGERS, JAX, ValidateRequest
from lwmport.pipeline.validate.subject import Subject, Subjects, subjects_of
from lwmport.pipeline.validate.test_inputs import Sampling, sampling_for
from lwmport.reports.files import NAMES as REPORT
from lwmport.reports.files import listed, write_report
from lwmport.reports.record import Report
from lwmport.requests import by_fields
from lwmport.runtime.registry import RUNNERS, check_startable, runner_for


@by_fields(ValidateRequest)
def validate(request: ValidateRequest, observer: Observer | None = None) -> Outcome:
    """Run the artifacts of a folder, or one artifact, beside their reference and return the verdict.

    A file that is no longer the one that was converted fails, whatever its numbers are; one that does not run is not
    judged. One that was compiled from a converted model is judged as that one (`lwmport.pipeline.validate.subject`).

    Raises:
        ArtifactError: there is no artifact, no manifest stands beside it, or it is damaged.
        CheckpointError: the weights that were converted are needed and not given.
        UsageError: the runner that is named is unknown, or does not take the artifact.
        RunnerError: the runner that is named cannot start here.
    """
    observer = observer or Silent()
    found = subjects_of(request.artifact, None if request.reference == JAX else Path(request.reference))
    if request.runner is None and found.items[0].runner:
        request = replace(request, runner=found.items[0].runner)
    converted = found.converted(request.checkpoint, request.adapter)
    _check_integers(request, converted)
    _check_runner(request, found)
    earlier = owned.Earlier(listed)
    if request.out is not None:
        check_writable(request.out)
        check_names(request.out, REPORT, earlier)
    sampling = sampling_for(request.inputs, request.samples, request.checkpoint, converted.family.references)
    check_given(converted, sampling)
    judged = [
        judged_file(request, subject, converted, _known(found, subject, sampling, observer), observer)
        for subject in found.items
    ]
    report = _report(found, judged)
    if request.out is not None:
        pictures = {name: picture for one in judged for name, picture in one.pictures.items()}
        with atomic.new_folder(request.out, last="report.json", owned=earlier) as scratch:
            write_report(report, scratch, pictures)
    return Outcome(
        out=found.place,
        manifest=found.described,
        report=report,
        seconds=0.0,
        peak_bytes=0,
        status=report.status,
        failures=tuple(dict.fromkeys(fault.reason for one in judged for fault in one.section.faults)),
    )


def _known(found: Subjects, subject: Subject, sampling: Sampling, observer: Observer) -> Known:
    """Return what is known of a model file, with the digests of its files taken."""
    observer.phase(f"{subject.part.name}: digests of its files")
    wrong = () if found.compiled else manifest.part_faults(subject.part, found.folder)
    wrong += missed_by(subject.part, found.folder)
    return Known(wrong=wrong, ours=subject.recorded if found.compiled else not wrong, sampling=sampling)


def _report(found: Subjects, judged: Sequence[JudgedFile]) -> Report:
    """Return the report on the files that were judged, and on the components of their model that were not."""
    made, names = found.described, [subject.part.name for subject in found.items]
    left_out = tuple(part.name for part in found.made.components if part.name not in names)
    return new_report(
        ", ".join(names) if left_out else made.component,
        made.weights,
        tuple(one.section for one in judged),
        made.reproduce,
        choices=made.choices,
        left_out=left_out,
        inputs=together([one.words for one in judged if one.words]),
    )


def _check_integers(request: ValidateRequest, converted: Converted) -> None:
    """Refuse to look for integers in a model that has none."""
    if request.ranges == INTEGERS and not converted.family.options.quantize:
        raise UsageError(
            f"expected a model of integers for --ranges {INTEGERS}, found {converted.manifest.component}, which was "
            "converted without --quantize; leave --ranges out, or take float16"
        )


def _check_runner(request: ValidateRequest, found: Subjects) -> None:
    """Refuse a runner that does not take the files or cannot start here, and a number of a device that it has not."""
    paths = [subject.path for subject in found.items]
    for path in paths if request.runner is not None else ():
        check_startable(runner_for(path, request.runner).name, path)
    for path in paths if request.device is not None else ():
        spec = runner_for(path, request.runner)
        if not spec.numbered:
            names = " or ".join(name for name, other in RUNNERS.items() if other.numbered)
            raise UsageError(f"expected --device with --runner {names}, found it for {spec.name}; leave --device out")
