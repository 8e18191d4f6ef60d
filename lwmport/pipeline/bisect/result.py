"""What a search comes to: the verdict of the outputs, where the first error enters, and what a reader must know."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lwmport.pipeline.bisect.anchors import Anchors
from lwmport.pipeline.bisect.measure import measured_of
from lwmport.pipeline.bisect.reference import Lowering
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.search import Found
from lwmport.pipeline.bisect.whole import Whole, public
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.judge import diffs_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.pipeline.validate.subject import Subject
from lwmport.reports.bisection import Bisection
from lwmport.runtime.pieces.opening import TITLES
from lwmport.runtime.pieces.spec import Pieces
from lwmport.runtime.registry import RUNNERS, precision_of
from lwmport.types import Array, Status, TensorDiff
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
    """What a search had, and what it found. ``chosen`` are the runs of ``run`` that were walked through.

    ``runner`` is one that was named, ``changed`` the files that are no longer as they were converted.
    """

    lowering: Lowering
    anchors: Anchors
    file: Pieces
    found: Found
    run: ReferenceRun
    chosen: Sequence[ReferenceRun]
    whole: Whole
    precision: str
    runner: str | None = None
    changed: Sequence[str] = ()


def told(request: BisectRequest, subject: Subject, converted: Converted, seen: Seen) -> Bisection:
    """Return the result: the verdict on the outputs, as `lwmport.validate` gives it, and what explains it."""
    found = seen.found
    diffs = _diffs(seen, subject, found.whole, seen.file) if seen.whole.left_out else seen.whole.diffs
    own = _diffs(seen, subject, found.right, seen.lowering.pieces)
    is_proven = all(diff.status is Status.PASSED for diff in own)
    refused = seen.whole.refused or found.refused
    wrong = bool(refused) or any(diff.status is not Status.PASSED for diff in diffs)
    status = Status.FAILED if wrong or (request.strict and found.places) else Status.PASSED
    reason = ""
    if wrong and not found.places:
        status = Status.NOT_JUDGED if refused else Status.FAILED
        reason = refused or (ELSEWHERE if is_proven else UNPROVEN)
    failed = status is Status.FAILED
    return Bisection(
        status=status,
        component=subject.part.name,
        artifact=str(subject.path),
        reference=f"{seen.run.reference}, and its lowering an operator at a time",
        runner=f"{seen.runner or TITLES[seen.file.format]}, an operator at a time",
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
    named = [public(found, subject, pieces) for found in outputs]
    return diffs_of(run, subject.part.signature, named, seen.precision)


def _notes(seen: Seen, *, is_proven: bool, wrong: bool, strict: bool) -> Iterator[str]:
    """Yield what a reader must know beside the result."""
    found = seen.found
    if seen.runner is not None and precision_of(seen.runner):
        yield f"run in {RUNNERS[seen.runner].title}"
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
    if seen.changed:
        yield f"no longer as it was converted, so `lwmport validate` fails it: {few(seen.changed)}"
    if not seen.lowering.is_current:
        yield "the file was converted from another program than this version traces: convert it again"
    if found.places and not wrong and not strict:
        node = found.places[0].first.node
        yield f"an error enters at {node} that no output shows; --strict counts it as wrong"
