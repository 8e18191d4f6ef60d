"""``lwmport bisect``: where the first error enters a model file, why, and what becomes of it."""

import contextlib
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport import memory
from lwmport.errors import UsageError
from lwmport.pipeline.bisect.anchors import Anchors
from lwmport.pipeline.bisect.reference import Lowering, lowering_of
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.search import Found, search
from lwmport.pipeline.bisect.walk import Walk, corresponds
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.judge import diffs_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather, trial_batch
from lwmport.pipeline.validate.subject import Subject, subjects_of
from lwmport.pipeline.validate.test_inputs import sampling_for
from lwmport.processors import processors
from lwmport.reports.bisection import Bisection, Measured
from lwmport.requests import by_fields
from lwmport.runtime.pieces.opening import TITLES, open_pieces
from lwmport.runtime.pieces.spec import Pieces
from lwmport.runtime.runners.jax import reference
from lwmport.types import TAPS, Array, Component, Status, TensorDiff, Weights
from lwmport.wording import few

LAYERS, COMPOSITES = TAPS

ELSEWHERE: Final = (
    "an output is out of tolerance, and every operator alone gives what it should: the error is in how the runtime runs "
    "the whole file"
)

UNPROVEN: Final = (
    "an output is out of tolerance, and so is the lowering that the file is held against: the error is in the conversion"
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a search had, and what it found."""

    lowering: Lowering
    anchors: Anchors
    file: Pieces
    found: Found


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
    found = subjects_of(request.artifact)
    converted = found.converted(request.checkpoint)
    with memory.AnonymousPeak() as peak:
        for subject in found.items:
            one = _searched(request, subject, converted, observer)
            if one.status is not Status.PASSED:
                break
    return replace(one, peak_bytes=peak.peak_bytes or 0, seconds=time.monotonic() - started)


def _searched(request: BisectRequest, subject: Subject, converted: Converted, observer: Observer) -> Bisection:
    """Return what is found in one model file."""
    part = subject.part
    component, weights = converted.component(part.name), converted.component_weights(part.name)
    sampling = sampling_for(request.inputs, request.samples, request.checkpoint, converted.family.references)
    observer.phase(f"{part.name}: run the reference, JAX")
    run = gather(
        component,
        weights,
        trial_batch(part.signature),
        observer.progress,
        sampling.of(part.signature.inputs[0].shape[0]),
        timed=False,
    )
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as opened:
        lowering = lowering_of(converted, part, Path(scratch), observer)
        opened.callback(lowering.pieces.close)
        file = open_pieces(subject.path, processors())
        opened.callback(file.close)
        if not corresponds(lowering.pieces, file):
            raise UsageError(f"expected the operators that lwmport writes in {subject.path}, found others")
        observer.phase(f"{part.name}: the taps of JAX")
        anchors = _anchors(component, weights, run)
        observer.phase(f"{part.name}: run {len(file.operators)} operators, each on the reference's own inputs")
        walk = Walk(lowering.pieces, file, [_fed(one, subject, lowering.pieces) for one in run.all])
        result = search(walk, anchors, lowering.sources, len(run.all), observer.progress)
        seen = Seen(lowering=lowering, anchors=anchors, file=file, found=result)
        return _told(request, subject, converted, run, seen)


def _fed(run: ReferenceRun, subject: Subject, pieces: Pieces) -> dict[str, Array]:
    """Return the inputs of a run by the names that they have inside of the file."""
    given = run.fed(subject.part.signature.inputs)
    return {pieces.public_inputs.get(name, name): value for name, value in given.items()}


def _anchors(component: Component, weights: Weights, run: ReferenceRun) -> Anchors:
    """Return the taps of JAX in the first case; none where the component has nothing to tap."""
    runner = reference(component, weights)
    try:
        layers = [name for name, _ in runner.taps(run.inputs, LAYERS)]
    except UsageError:
        layers = []
    try:
        return Anchors(runner.taps(run.inputs, COMPOSITES), layers)
    except UsageError:
        return Anchors((), ())


def _told(request: BisectRequest, subject: Subject, converted: Converted, run: ReferenceRun, seen: Seen) -> Bisection:
    """Return the result: the verdict on the outputs, as `lwmport.validate` gives it, and what explains it."""
    part, found = subject.part, seen.found
    precision = subject.judged_in(converted.family.options.precision)
    named = [_public(outputs, subject, seen.file) for outputs in found.whole]
    diffs = diffs_of(run, part.signature, named, precision)
    own = [_public(outputs, subject, seen.lowering.pieces) for outputs in found.right]
    is_proven = all(diff.status is Status.PASSED for diff in diffs_of(run, part.signature, own, precision))
    wrong = bool(found.refused) or any(diff.status is not Status.PASSED for diff in diffs)
    status = Status.FAILED if wrong or (request.strict and found.places) else Status.PASSED
    reason = ""
    if wrong and not found.places:
        status, reason = Status.NOT_JUDGED, ELSEWHERE if is_proven else UNPROVEN
    taps = found.taps if wrong else [replace(tap, harmless=tap.enters) for tap in found.taps]
    failed = status is Status.FAILED
    return Bisection(
        status=status,
        component=part.name,
        artifact=str(subject.path),
        reference=f"{run.reference}, and its lowering an operator at a time",
        runner=f"{TITLES[seen.file.format]}, an operator at a time",
        inputs=run.description,
        strict=request.strict,
        first=found.first if failed else None,
        others=found.others if failed else (),
        taps=tuple(taps),
        notes=tuple(_notes(seen, is_proven=is_proven, wrong=wrong, strict=request.strict)),
        reason=reason,
        weights=str(converted.manifest.weights["description"]),
        outputs=tuple((diff.name, _measured(diff), diff.status is Status.PASSED) for diff in diffs),
    )


def _public(outputs: Mapping[str, Array], subject: Subject, pieces: Pieces) -> dict[str, Array]:
    """Return outputs by the names of the signature."""
    names = {spec.name: pieces.public_outputs.get(spec.name, spec.name) for spec in subject.part.signature.outputs}
    return {name: outputs[inside] for name, inside in names.items() if inside in outputs}


def _measured(diff: TensorDiff) -> Measured:
    """Return how far an output is, out of its verdict; of indices, how many differ."""
    facts = diff.metrics
    scale = facts.get("reference_max_abs", 0.0)
    largest = facts.get("max_abs_error", 0.0 if diff.status is Status.PASSED else math.inf)
    return Measured(
        max_abs=largest,
        relative=largest / scale if scale else largest,
        sqnr_db=facts.get("sqnr_db", math.inf if diff.status is Status.PASSED else -math.inf),
        cosine=facts.get("cosine", 1.0 if diff.status is Status.PASSED else 0.0),
    )


def _notes(seen: Seen, *, is_proven: bool, wrong: bool, strict: bool) -> Iterator[str]:
    """Yield what a reader must know beside the result."""
    found = seen.found
    yield f"operators are matched by the names of their outputs: {len(found.taps)} tensors are compared"
    if seen.anchors.found:
        missing = seen.anchors.missing
        more = f"; not found: {few(missing)}" if missing else ""
        yield f"{len(seen.anchors.found)} taps of JAX are matched by their values{more}"
    if not is_proven:
        yield "the lowering of this version does not give JAX's outputs itself: read what follows with care"
    if not seen.lowering.is_current:
        yield "the file was converted from another program than this version traces: convert it again"
    if found.places and not wrong and not strict:
        node = found.places[0].first.node
        yield f"an error enters at {node} that no output shows; --strict counts it as wrong"
