"""``lwmport bisect``: where the first error enters a model file, why, and what becomes of it."""

import contextlib
import glob
import shlex
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from lwmport import atomic, memory, owned, plain
from lwmport.errors import UsageError
from lwmport.manifest import changed_files
from lwmport.models.storage import judged_in
from lwmport.pipeline.bisect.device_result import of_device
from lwmport.pipeline.bisect.foreign import bisect_foreign, is_foreign
from lwmport.pipeline.bisect.jax_side import JaxSide
from lwmport.pipeline.bisect.kept import Kept
from lwmport.pipeline.bisect.reference import Lowering, lowering_of
from lwmport.pipeline.bisect.request import JAX, BisectRequest
from lwmport.pipeline.bisect.result import Seen, told
from lwmport.pipeline.bisect.search import search
from lwmport.pipeline.bisect.walk import Walk, corresponds
from lwmport.pipeline.bisect.whole import fed, run_whole
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert.output_folder import check_names
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.model_file import against, other_model
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather, trial_batch
from lwmport.pipeline.validate.subject import Subject, Subjects, subjects_of
from lwmport.pipeline.validate.test_inputs import sampling_for
from lwmport.processors import processors
from lwmport.reports.bisect_files import NAMES as REPORT
from lwmport.reports.bisect_files import RECORD, listed, write_files
from lwmport.reports.bisection import Bisection
from lwmport.requests import by_fields
from lwmport.runtime.pieces.isolated import IsolatedPieces
from lwmport.runtime.registry import check_startable, runner_for
from lwmport.types import Status, Weights


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
    part, other = subject.part, other_runner(request, subject)
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
            return of_device(request, subject, converted, lowering, (run, jax), observer)
        file = IsolatedPieces(subject.path, processors(), other)
        opened.callback(file.close)
        if not corresponds(lowering.pieces, file):
            raise UsageError(f"expected the operators that lwmport writes in {subject.path}, found others")
        observer.phase(f"{part.name}: run {subject.path.name} as a whole")
        precision = subject.judged_in(judged_in(converted.family.options), request.runner)
        whole = run_whole(subject, run, precision, request.runner)
        changed = () if whole.left_out else changed_files([part], subject.path.parent)
        numbers = range(len(run.all)) if whole.left_out or request.strict else range(whole.case, whole.case + 1)
        chosen = [run.all[number] for number in numbers]
        observer.phase(f"{part.name}: the taps of JAX")
        anchors = jax.anchors(numbers[0], chosen[0].inputs)
        observer.phase(f"{part.name}: run {len(file.operators)} operators, each on the reference's own inputs")
        cases = [fed(one, subject, lowering.pieces) for one in chosen]
        walk = Walk(lowering.pieces, file, cases, runtime=other is not None)
        result = search(walk, anchors, lowering.sources, len(cases), observer.progress, kept)
        seen = Seen(
            lowering=lowering, anchors=anchors, file=file, found=result, run=run, chosen=chosen, whole=whole,
            precision=precision, runner=other, changed=changed,
        )  # fmt: skip
        return told(request, subject, converted, seen)


def _of_other(path: Path, run: ReferenceRun, weights: Weights) -> tuple[ReferenceRun, Lowering]:
    """Return the run with the outputs of another model as the reference, and its operators."""
    pieces = IsolatedPieces(path, processors())
    return against(run, path), Lowering(pieces=pieces, sources={}, is_current=True, weights=weights)


def other_runner(request: BisectRequest, subject: Subject) -> str | None:
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
