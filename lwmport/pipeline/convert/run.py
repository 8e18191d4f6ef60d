"""From a checkpoint to artifacts, a manifest and a report, all in one folder, whole or not at all."""

import time
from typing import Any

import lwmport
from lwmport import atomic, extras, manifest, memory, plain
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters import CONVERTERS, converter_for
from lwmport.models.families import Family, resolve
from lwmport.pipeline.checkpoint.trees import config_of
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert.background import Background
from lwmport.pipeline.convert.lower import lower
from lwmport.pipeline.convert.output_folder import check_free
from lwmport.pipeline.convert.plan import ConversionPlan, check_validation, plan_for
from lwmport.pipeline.convert.request import ConvertRequest, Outcome, Work
from lwmport.pipeline.convert.sharing import shared_data
from lwmport.pipeline.convert.unused_options import check_heard
from lwmport.pipeline.convert.validation import judge_all
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.weights import fitting
from lwmport.registry import check_known
from lwmport.reports import numbers
from lwmport.reports.files import remove_report
from lwmport.reports.record import Conversion
from lwmport.requests import asked
from lwmport.types import Component, Dialect, Status

NOT_VALIDATED = "not validated"


def convert(request: ConvertRequest | None = None, observer: Observer | None = None, **fields: Any) -> Outcome:
    """Convert every component that the request names, judge it, and write manifest and report.

    ``fields`` are those of a request, given in its place.

    Raises:
        PortError: it cannot be done, see the subclasses; nothing was written then.
    """
    request, observer = asked(ConvertRequest, request, fields), observer or Silent()
    check_known("format", request.format, CONVERTERS)
    dialect = request.lowering
    family, weights = open_model(request, dialect)
    identity = resume.identity(_facts(request, dialect, family), weights)
    converter_for(dialect)  # imported now, so that the plan knows its memory
    shared = shared_data(request.component, family, dialect)
    check_free(request.out, [component.name for component in family.components], request.format, shared)
    planned = _plan(request, family, weights, identity, observer, once=shared is not None)
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
            weights_sha256 = _convert_all(work)
        seconds, peak = time.perf_counter() - start, memory.peak_bytes()
        report = judge_all(work, weights_sha256) if request.validate else None
        status = report.status if report else Status.SKIPPED
        made = _manifest(work, weights_sha256, status if report else NOT_VALIDATED)
        manifest.write(made, folder)
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
    }


def _plan(
    request: ConvertRequest,
    family: Family,
    weights: Checkpoint | SeededWeights,
    identity: str,
    observer: Observer,
    *,
    once: bool,
) -> ConversionPlan:
    """Return the plan, after telling it; ``once`` if the components keep their weights in one file.

    Raises:
        PortError: the disk has no room, or the machine cannot hold what validation needs.
    """
    if request.validate:
        check_validation(family, request.format)
    done = resume.done_bytes(request.out, identity) if request.resume else 0
    planned = plan_for(family, weights, request.format, request.out, done, once=once)
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
    return family, fitting(family, opened, request.seed)


def _convert_one(work: Work, component: Component) -> None:
    start = time.perf_counter()
    artifact, program_sha256 = lower(work, component, work.dialect, work.folder)
    work.parts.append(manifest.entry(artifact, program_sha256))
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
        versions=extras.versions(),
        reproduce=work.request.commands(),
    )
