"""From a checkpoint to artifacts, a manifest and a report, all in one folder, whole or not at all."""

import time
from pathlib import Path
from typing import Any

import lwmport
from lwmport import atomic, extras, manifest, memory, plain
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters import CONVERTERS, converter_for, shares
from lwmport.models.families import Family, resolve
from lwmport.models.specs import versions_of
from lwmport.pipeline.checkpoint.trees import config_of
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert.background import Background
from lwmport.pipeline.convert.lower import lower
from lwmport.pipeline.convert.output_folder import check_free
from lwmport.pipeline.convert.plan import ConversionPlan, check_validation, plan_for, with_taps
from lwmport.pipeline.convert.request import ConvertRequest, Outcome, Work
from lwmport.pipeline.convert.sharing import shared_data
from lwmport.pipeline.convert.taps import check_taps, remove_old_taps, write_taps
from lwmport.pipeline.convert.unused_options import check_heard, check_stored
from lwmport.pipeline.convert.validation import judge_all
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.weights import fitting
from lwmport.registry import check_known
from lwmport.reports import numbers
from lwmport.reports.files import remove_report
from lwmport.reports.record import Conversion
from lwmport.requests import by_fields
from lwmport.runtime.registry import check_startable
from lwmport.types import Component, Dialect, SharedData, Status

NOT_VALIDATED = "not validated"


@by_fields(ConvertRequest)
def convert(request: ConvertRequest, observer: Observer | None = None) -> Outcome:
    """Convert every component that the request names, judge it, and write manifest and report.

    Raises:
        PortError: it cannot be done, see the subclasses; nothing was written then.
    """
    observer = observer or Silent()
    check_known("format", request.format, CONVERTERS)
    if request.runner is not None:
        check_startable(request.runner, Path(f"{request.component}{request.suffix}"))
    dialect = request.lowering
    family, weights = open_model(request, dialect)
    if weights.source.get("left_over"):
        observer.phase(f"checkpoint {weights.source['description']}")
    identity = resume.identity(_facts(request, dialect, family), weights)
    converter_for(dialect)  # imported now, so that the plan knows its memory
    shared = shared_data(request.component, family, dialect)
    check_free(request.out, [component.name for component in family.components], request.format, shared)
    planned = _plan(request, family, weights, identity, observer, _written(request, family, shared))
    with (
        resume.told(request.out, identity),
        atomic.new_folder(request.out, last=manifest.NAME, request=identity, fresh=not request.resume) as folder,
    ):
        work = Work(
            request=request,
            family=family,
            dialect=dialect,
            weights=weights,
            folder=folder,
            observer=observer,
            shared=shared,
        )
        start = time.perf_counter()
        with memory.AnonymousPeak() as own:
            check_taps(work)
            weights_sha256 = _convert_all(work)
        seconds, peak = time.perf_counter() - start, memory.peak_bytes()
        report = judge_all(work, weights_sha256) if request.validate else None
        status = report.status if report else Status.SKIPPED
        made = _manifest(work, weights_sha256, status if report else NOT_VALIDATED)
        manifest.write(made, folder)
        remove_old_taps(request.out, made)
        if report is None:
            remove_report(request.out)
    return Outcome(
        out=request.out,
        manifest=made,
        report=report,
        seconds=seconds,
        peak_bytes=peak,
        status=status,
        own_peak_bytes=own.peak_bytes,
        plan=planned,
    )


def _facts(request: ConvertRequest, dialect: Dialect, family: Family) -> dict[str, Any]:
    """Return what decides every byte of a conversion beside the weights."""
    return {
        "component": request.component,
        "dialect": plain.encode(dialect),
        "batch": request.batch,
        "config": dict(family.config),
        "options": family.options.to_json(),
        "family": versions_of(family.spec),
        "taps": request.taps,
    }


def _written(request: ConvertRequest, family: Family, shared: SharedData | None) -> tuple[Component, ...]:
    """Return the components whose weights are written: the first where they are shared, all twice for own taps."""
    parts = family.components if shared is None else family.components[:1]
    return parts * 2 if request.taps and not shares(request.lowering) else parts


def _plan(
    request: ConvertRequest,
    family: Family,
    weights: Checkpoint | SeededWeights,
    identity: str,
    observer: Observer,
    parts: tuple[Component, ...],
) -> ConversionPlan:
    """Return the plan, after telling it; ``parts`` are the components whose weights are written.

    Raises:
        PortError: the disk has no room, or the machine cannot hold what validation needs.
    """
    if request.validate:
        check_validation(family, request.format)
    done = resume.done_bytes(request.out, identity) if request.resume else 0
    planned = plan_for(family, weights, request.format, request.out, done, parts)
    planned = with_taps(planned, family) if request.taps else planned
    observer.phase(f"plan: {planned.sentence}")
    if done:
        observer.phase(f"resume: {numbers.size(done)} are done by an interrupted run (--no-resume starts afresh)")
    return planned


def _convert_all(work: Work) -> str:
    """Convert every component and return the digest of the weights, which is taken meanwhile."""
    weights_sha256 = Background(work.weights.digest)
    for component in work.family.components:
        _convert_one(work, component)
    work.observer.phase(f"digest of {work.weights.source['description']}")
    return weights_sha256.result()


def open_model(request: ConvertRequest, dialect: Dialect) -> tuple[Family, Checkpoint | SeededWeights]:
    """Return the model of a request, cut as its dialect wants it, and its weights.

    Raises:
        PortError: no such model, an option that it does not take, or weights that cannot be read or do not fit.
    """
    options = request.options
    check_known(f"precision of {dialect.name}", options.precision, dialect.precisions)
    check_heard(request, dialect)
    options = options.completed(dialect.attention, static=dialect.static)
    opened = None if request.checkpoint is None else open_checkpoint(request.checkpoint)
    config = config_of(opened, request.config)
    family = resolve(request.component, config, options, None if opened is None else opened.specs)
    check_stored(family)
    return family, fitting(family, opened, request.seed)


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
