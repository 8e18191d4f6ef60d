"""From a request to artifacts, a manifest and a report, all in one folder, whole or not at all."""

import time

import lwmport
from lwmport import atomic, extras, manifest, memory
from lwmport.checkpoints.model_weights import component_weights
from lwmport.converters import converter_for
from lwmport.models.specs import versions_of
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert.background import Background
from lwmport.pipeline.convert.lower import lower
from lwmport.pipeline.convert.output_folder import check_free
from lwmport.pipeline.convert.plan import ConversionPlan, check_validation, plan_for, with_taps
from lwmport.pipeline.convert.request import ConvertRequest, Outcome
from lwmport.pipeline.convert.taps import check_taps, old_taps, write_taps
from lwmport.pipeline.convert.validation import judge_all
from lwmport.pipeline.convert.work import Work, open_request
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.validate.reference_runs import DYNAMIC_TRIAL
from lwmport.pipeline.validate.test_inputs import TestInputs
from lwmport.reports import numbers
from lwmport.reports.files import NAMES as REPORT
from lwmport.reports.record import Conversion
from lwmport.requests import by_fields
from lwmport.runtime.registry import check_startable, check_takes
from lwmport.types import Component, Status

NOT_VALIDATED = "not validated"


@by_fields(ConvertRequest)
def convert(request: ConvertRequest, observer: Observer | None = None) -> Outcome:
    """Convert every component that the request names, judge it, and write manifest and report.

    The request is opened once. Each stage behind that reads and fills the one `Work`.

    Raises:
        PortError: it cannot be done, see the subclasses; nothing was written then.
    """
    dialect, family, weights = open_request(request)
    observer = observer or Silent()
    if weights.source.get("left_over"):
        observer.phase(f"checkpoint {weights.source['description']}")
    work = Work(request=request, dialect=dialect, family=family, weights=weights, observer=observer)
    return _filled(work)


def _filled(work: Work) -> Outcome:
    """Return what came of a work: its folder is filled whole or not at all."""
    out = work.request.out
    _check(work)
    planned, stale = _plan(work), (*REPORT, *old_taps(out))
    with (
        resume.told(out, work.identity),
        atomic.new_folder(
            out, last=manifest.NAME, stale=stale, request=work.identity, fresh=not work.request.resume
        ) as work.folder,
    ):
        start = time.perf_counter()
        with memory.AnonymousPeak() as own:
            check_taps(work)
            weights_sha256 = _convert_all(work)
        seconds, peak = time.perf_counter() - start, memory.peak_bytes()
        report = judge_all(work, weights_sha256) if work.request.validate else None
        status = report.status if report else Status.SKIPPED
        made = _manifest(work, weights_sha256, status if report else NOT_VALIDATED)
        manifest.write(made, work.folder)
    return Outcome(
        out=out,
        manifest=made,
        report=report,
        seconds=seconds,
        peak_bytes=peak,
        status=status,
        own_peak_bytes=own.peak_bytes,
        plan=planned,
    )


def _check(work: Work) -> None:
    """Return if the folder is free, and the runner that is named can start here.

    Raises:
        PortError: it is not, or cannot.
    """
    request, names = work.request, [component.name for component in work.family.components]
    if request.runner is not None:
        check_takes(request.runner, request.suffix)
        check_startable(request.runner)
    check_free(request.out, names, request.format, work.shared)
    _check_inputs(work)


def _check_inputs(work: Work) -> None:
    """Return if every component takes the user's inputs, before anything is converted.

    Raises:
        UsageError: one does not.
    """
    if work.request.inputs is None:
        return
    asked = work.request.batch
    batch = asked if isinstance(asked, int) else DYNAMIC_TRIAL
    for component in work.family.references:
        weights = component_weights(work.family, component, work.weights)
        TestInputs(component, weights, work.sampling.of(asked)).check(batch)


def _plan(work: Work) -> ConversionPlan:
    """Return the plan, after telling it.

    Raises:
        PortError: the disk has no room, or the machine cannot hold what validation needs.
    """
    request, family = work.request, work.family
    converter_for(work.dialect)  # imported now, so that the plan knows its memory
    if request.validate:
        check_validation(family, request.format)
    done = resume.done_bytes(request.out, work.identity) if request.resume else 0
    planned = plan_for(family, work.weights, request.format, request.out, done, work.written)
    planned = with_taps(planned, family) if request.taps else planned
    work.observer.phase(f"plan: {planned.sentence}")
    if done:
        work.observer.phase(f"resume: {numbers.size(done)} are done by an interrupted run (--no-resume starts afresh)")
    return planned


def _convert_all(work: Work) -> str:
    """Convert every component and return the digest of the weights, which is taken meanwhile."""
    weights_sha256 = Background(work.weights.digest)
    for component in work.family.components:
        _convert_one(work, component)
    work.observer.phase(f"digest of {work.weights.source['description']}")
    return weights_sha256.result()


def _convert_one(work: Work, component: Component) -> None:
    start = time.perf_counter()
    artifact, program_sha256 = lower(work, component, work.dialect, work.folder)
    taps = write_taps(work, component, artifact) if work.request.taps else None
    work.parts.append(manifest.entry(artifact, program_sha256, taps))
    work.costs.append(Conversion(seconds=time.perf_counter() - start, peak_bytes=memory.peak_bytes()))


def _manifest(work: Work, weights_sha256: str, verdict: str) -> manifest.Manifest:
    return manifest.Manifest(
        format=manifest.FORMAT,
        lwmport=lwmport.__version__,
        artifact_format=work.request.format,
        dialect=work.dialect.name,
        component=work.request.component,
        family=work.family.name,
        config=dict(work.family.config),
        options=work.family.options.to_json(),
        weights=dict(work.weights.source),
        weights_sha256=weights_sha256,
        components=tuple(work.parts),
        verdict=verdict,
        versions={**extras.versions(), **versions_of(work.family.spec)},
        reproduce=work.request.commands(),
        phases={phase: component.name for component in work.family.components for phase in component.phases},
    )
