"""``lwmport bisect``: where the first error enters a model file, why, and what becomes of it."""

import contextlib
import glob
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport import atomic, memory, owned, plain
from lwmport.errors import UsageError
from lwmport.pipeline.bisect.anchors import Anchors
from lwmport.pipeline.bisect.device import ROUNDING, Device, search_device
from lwmport.pipeline.bisect.foreign import bisect_foreign, is_foreign
from lwmport.pipeline.bisect.jax_side import JaxSide
from lwmport.pipeline.bisect.kept import Kept
from lwmport.pipeline.bisect.measure import measured_of
from lwmport.pipeline.bisect.reference import Lowering, lowering_of
from lwmport.pipeline.bisect.request import JAX, BisectRequest
from lwmport.pipeline.bisect.search import Found, search
from lwmport.pipeline.bisect.walk import Walk, corresponds, same_bytes
from lwmport.pipeline.bisect.whole import Whole, run_whole
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert.output_folder import check_names
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.judge import diffs_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather, trial_batch
from lwmport.pipeline.validate.run import against, other_model
from lwmport.pipeline.validate.subject import Subject, Subjects, subjects_of
from lwmport.pipeline.validate.test_inputs import sampling_for
from lwmport.processors import processors
from lwmport.reports.bisect_files import NAMES as REPORT
from lwmport.reports.bisect_files import RECORD, listed, write_files
from lwmport.reports.bisection import Bisection
from lwmport.requests import by_fields
from lwmport.runtime.pieces.isolated import IsolatedPieces
from lwmport.runtime.pieces.opening import TITLES
from lwmport.runtime.pieces.spec import Pieces
from lwmport.runtime.registry import check_startable, runner_for
from lwmport.types import Array, Status, TensorDiff, Weights
from lwmport.wording import few

ELSEWHERE: Final = (
    "an output is out of tolerance, and every operator alone gives what it should: the error is in how the runtime "
    "runs the whole file"
)

UNPROVEN: Final = (
    "an output is out of tolerance, and so is the lowering that the file is held against: the error is in the "
    "conversion"
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a search had, and what it found. ``chosen`` are the runs of ``run`` that were walked through."""

    lowering: Lowering
    anchors: Anchors
    file: Pieces
    found: Found
    run: ReferenceRun
    chosen: Sequence[ReferenceRun]
    whole: Whole
    precision: str


@by_fields(BisectRequest)
def bisect(request: BisectRequest, observer: Observer | None = None) -> Bisection:
    """Return where the first error enters a model file.

    The file runs an operator at a time, on the reference's own inputs and on what reaches it in the whole model. A
    folder of several models is searched one after the other, up to the first in which something is wrong.

    Raises:
        ArtifactError: there is no artifact, or nothing tells what it was made from.
        CheckpointError: the weights that were converted are needed and not given.
        UsageError: an option does not fit the artifact.
    """
    observer = observer or Silent()
    started = time.monotonic()
    if request.out is not None:
        check_writable(request.out)
        check_names(request.out, REPORT, owned.Earlier(listed))
    if is_foreign(request.artifact):
        return _of_foreign(request, started, observer)
    found = subjects_of(request.artifact)
    converted = found.converted(request.checkpoint)
    with contextlib.ExitStack() as opened, memory.AnonymousPeak() as peak:
        scratch = None if request.out is None else opened.enter_context(_claimed(request, found, converted))
        for subject in found.items:
            one = _searched(request, subject, converted, Kept(scratch, subject.part.name), observer)
            if one.status is not Status.PASSED:
                break
        seconds = time.monotonic() - started
        result = replace(one, peak_bytes=peak.peak_bytes or 0, seconds=seconds, command=_command(request))
        if scratch is not None:
            write_files(result, scratch)
    return result


def _of_foreign(request: BisectRequest, started: float, observer: Observer) -> Bisection:
    """Return what is found in a model file that is not ours; nothing of an unfinished search is kept."""
    with memory.AnonymousPeak() as peak:
        one = bisect_foreign(request, observer)
    seconds = time.monotonic() - started
    result = replace(one, peak_bytes=peak.peak_bytes or 0, seconds=seconds, command=_command(request))
    if request.out is not None:
        with atomic.new_folder(request.out, last=RECORD, owned=owned.Earlier(listed), others=False) as scratch:
            write_files(result, scratch)
    return result


def _claimed(request: BisectRequest, found: Subjects, converted: Converted) -> AbstractContextManager[Path]:
    """Return the unfinished folder of the report: a search that was killed goes on from what it has left there."""
    files = {str(item.path): [file.sha256 for file in item.part.files] for item in found.items}
    now = {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in _model_files(found)}
    facts = {"request": plain.encode(replace(request, out=None)), "files": files, "now": now}
    identity = resume.identity(facts, converted.weights)
    owned_before = owned.Earlier(listed)
    return atomic.new_folder(request.out or Path(), last=RECORD, owned=owned_before, request=identity, others=False)


def _model_files(found: Subjects) -> list[Path]:
    """Return the files of the models that are searched, those of their weights too."""
    return sorted({path for item in found.items for path in item.path.parent.glob(f"{glob.escape(item.path.name)}*")})


def _command(request: BisectRequest) -> str:
    """Return the command that does the same again."""
    words = ["lwmport", "bisect", str(request.artifact)]
    for flag, value in (
        ("--reference", None if request.reference == JAX else request.reference),
        ("--checkpoint", request.checkpoint),
        ("--runner", request.runner),
        ("--results", request.results),
        ("--inputs", request.inputs),
        ("--samples", request.samples),
    ):
        words += [] if value is None else [flag, str(value)]
    return shlex.join([*words, *(["--strict"] if request.strict else [])])


def _searched(
    request: BisectRequest, subject: Subject, converted: Converted, kept: Kept, observer: Observer
) -> Bisection:
    """Return what is found in one model file."""
    part = subject.part
    component, weights = converted.component(part.name), converted.component_weights(part.name)
    sampling = sampling_for(request.inputs, request.samples, request.checkpoint, converted.family.references)
    observer.phase(f"{part.name}: run the reference, JAX")
    jax = JaxSide(component, weights, kept)
    run = gather(
        component,
        weights,
        trial_batch(part.signature),
        observer.progress,
        sampling.of(part.signature.inputs[0].shape[0]),
        runner=jax,
    )
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as opened:
        if request.reference == JAX:
            lowering = lowering_of(converted, part, Path(scratch), observer)
        else:
            run, lowering = _of_other(other_model(Path(request.reference), part), run, weights)
        opened.callback(lowering.pieces.close)
        if request.results is not None:
            return _of_device(request, subject, converted, lowering, (run, jax), observer)
        file = IsolatedPieces(subject.path, processors(), _other_runner(request, subject))
        opened.callback(file.close)
        if not corresponds(lowering.pieces, file):
            raise UsageError(f"expected the operators that lwmport writes in {subject.path}, found others")
        observer.phase(f"{part.name}: run {subject.path.name} as a whole")
        precision = subject.judged_in(converted.family.options.precision)
        whole = run_whole(subject, run, precision, request.runner)
        numbers = range(len(run.all)) if whole.left_out or request.strict else range(whole.case, whole.case + 1)
        chosen = [run.all[number] for number in numbers]
        observer.phase(f"{part.name}: the taps of JAX")
        anchors = jax.anchors(numbers[0], chosen[0].inputs)
        observer.phase(f"{part.name}: run {len(file.operators)} operators, each on the reference's own inputs")
        cases = [_fed(one, subject, lowering.pieces) for one in chosen]
        walk = Walk(lowering.pieces, file, cases, runtime=_other_runner(request, subject) is not None)
        result = search(walk, anchors, lowering.sources, len(cases), observer.progress, kept)
        seen = Seen(
            lowering=lowering, anchors=anchors, file=file, found=result, run=run, chosen=chosen, whole=whole,
            precision=precision,
        )  # fmt: skip
        return _told(request, subject, converted, seen)


def _of_other(path: Path, run: ReferenceRun, weights: Weights) -> tuple[ReferenceRun, Lowering]:
    """Return the run with the outputs of another model as the reference, and its operators."""
    pieces = IsolatedPieces(path, processors())
    return against(run, path), Lowering(pieces=pieces, sources={}, is_current=True, weights=weights)


def _of_device(
    request: BisectRequest,
    subject: Subject,
    converted: Converted,
    lowering: Lowering,
    reference: tuple[ReferenceRun, JaxSide],
    observer: Observer,
) -> Bisection:
    """Return what is found in the tensors that a device gave."""
    run, jax = reference
    pieces, part = lowering.pieces, subject.part
    device = Device(request.results or Path(), pieces)
    usual = _fed(run, subject, pieces)
    case = device.inputs(usual)
    is_usual = all(same_bytes(case[name], value) for name, value in usual.items())
    anchors = jax.anchors(0, run.inputs) if is_usual else Anchors({}, ())
    observer.phase(f"{part.name}: hold {len(device.tensors)} tensors of {device.brought.kind} against the reference")
    found = search_device(pieces, device, case, anchors, observer.progress)
    wrong = bool(found.places)
    notes = (
        f"{len(device.tensors)} tensors of {device.brought.kind} are matched by their names",
        f"a difference of up to {ROUNDING:g} of the largest value counts as the rounding of half precision",
        "the device's own inputs are among them" if not is_usual else "the reference runs on the inputs named above",
        *device.notes,
    )
    return Bisection(
        status=Status.FAILED if wrong else Status.PASSED,
        component=part.name,
        artifact=str(subject.path),
        reference=f"{run.reference}, and its lowering an operator at a time",
        runner=f"a device: {device.brought.kind} in {request.results}",
        inputs=run.description if is_usual else f"those of {request.results}",
        strict=request.strict,
        first=found.first,
        others=found.others,
        taps=tuple(found.taps),
        notes=notes,
        weights=str(converted.manifest.weights["description"]),
    )


def _other_runner(request: BisectRequest, subject: Subject) -> str | None:
    """Return the runner that is named, if it is not the usual one of the file.

    Raises:
        UsageError: it does not take the file.
        RunnerError: it cannot start here.
    """
    if request.runner is None:
        return None
    name = runner_for(subject.path, request.runner).name
    check_startable(name, subject.path)
    return None if name == runner_for(subject.path).name else name


def _fed(run: ReferenceRun, subject: Subject, pieces: Pieces) -> dict[str, Array]:
    """Return the inputs of a run by the names that they have inside of the file."""
    given = run.fed(subject.part.signature.inputs)
    return {pieces.public_inputs.get(name, name): value for name, value in given.items()}


def _told(request: BisectRequest, subject: Subject, converted: Converted, seen: Seen) -> Bisection:
    """Return the result: the verdict on the outputs, as `lwmport.validate` gives it, and what explains it."""
    found = seen.found
    diffs = _diffs(seen, subject, found.whole, seen.file) if seen.whole.left_out else seen.whole.diffs
    own = _diffs(seen, subject, found.right, seen.lowering.pieces)
    is_proven = all(diff.status is Status.PASSED for diff in own)
    refused = seen.whole.refused or found.refused
    wrong = bool(refused) or any(diff.status is not Status.PASSED for diff in diffs)
    status, reason = Status.PASSED, ""
    if found.places and (wrong or request.strict):
        status = Status.FAILED
    elif wrong:
        status, reason = Status.NOT_JUDGED, refused or (ELSEWHERE if is_proven else UNPROVEN)
    failed = status is Status.FAILED
    return Bisection(
        status=status,
        component=subject.part.name,
        artifact=str(subject.path),
        reference=f"{seen.run.reference}, and its lowering an operator at a time",
        runner=f"{_other_runner(request, subject) or TITLES[seen.file.format]}, an operator at a time",
        inputs=seen.run.description,
        strict=request.strict,
        first=found.first if failed else None,
        others=found.others if failed else (),
        taps=tuple(found.taps if wrong else (replace(tap, harmless=tap.enters) for tap in found.taps)),
        notes=tuple(_notes(seen, is_proven=is_proven, wrong=wrong, strict=request.strict)),
        reason=reason,
        weights=str(converted.manifest.weights["description"]),
        outputs=tuple((diff.name, measured_of(diff), diff.status is Status.PASSED) for diff in diffs),
    )


def _diffs(
    seen: Seen, subject: Subject, outputs: Sequence[Mapping[str, Array]], pieces: Pieces
) -> tuple[TensorDiff, ...]:
    """Return the verdict on the outputs of the cases that were walked through."""
    first, *others = seen.chosen
    run = replace(first, others=tuple(others))
    named = [_public(found, subject, pieces) for found in outputs]
    return diffs_of(run, subject.part.signature, named, seen.precision)


def _public(outputs: Mapping[str, Array], subject: Subject, pieces: Pieces) -> dict[str, Array]:
    """Return outputs by the names of the signature."""
    names = {spec.name: pieces.public_outputs.get(spec.name, spec.name) for spec in subject.part.signature.outputs}
    return {name: outputs[inside] for name, inside in names.items() if inside in outputs}


def _notes(seen: Seen, *, is_proven: bool, wrong: bool, strict: bool) -> Iterator[str]:
    """Yield what a reader must know beside the result."""
    found = seen.found
    yield f"operators are matched by the names of their outputs: {len(found.taps)} tensors are compared"
    if len(seen.chosen) < len(seen.run.all):
        case = seen.chosen[0].case or "the first sample"
        yield f"every case runs as a whole; the operators run on one of {len(seen.run.all)}: {case}"
    if seen.whole.left_out:
        yield seen.whole.left_out
    if seen.anchors.found:
        missing = seen.anchors.missing
        more = f"; not found: {few(missing)}" if missing else ""
        yield f"{len(seen.anchors.found)} taps of JAX are matched by their values{more}"
    if found.unable:
        yield f"{len(found.unable)} operators do not run alone there and are left out: {few(found.unable)}"
    if not is_proven:
        yield "the lowering of this version does not give JAX's outputs itself: read what follows with care"
    if not seen.lowering.is_current:
        yield "the file was converted from another program than this version traces: convert it again"
    if found.places and not wrong and not strict:
        node = found.places[0].first.node
        yield f"an error enters at {node} that no output shows; --strict counts it as wrong"
