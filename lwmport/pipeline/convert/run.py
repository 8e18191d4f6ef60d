"""From a request to artifacts, a manifest and a report, all in one folder, whole or not at all."""

import time
from dataclasses import replace
from typing import Final

import lwmport
from lwmport import atomic, extras, manifest, memory
from lwmport.checkpoints.model_weights import component_weights
from lwmport.choices import Choice
from lwmport.converters import LIMIT, converter_for, is_limited
from lwmport.errors import LoweringError, RunnerError
from lwmport.models.families import caching, rounding
from lwmport.models.specs import versions_of
from lwmport.pipeline.budget_record import TABLE
from lwmport.pipeline.cache_record import packed
from lwmport.pipeline.calibration.cache_ranges import cache_scales, check_cache_text
from lwmport.pipeline.calibration.ranges import product_ranges
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert.background import Background
from lwmport.pipeline.convert.budget import settle, with_budget
from lwmport.pipeline.convert.calibration import calibrated, check_products
from lwmport.pipeline.convert.float32_parts import check_parts
from lwmport.pipeline.convert.lower import lower
from lwmport.pipeline.convert.output_folder import check_free, check_names
from lwmport.pipeline.convert.plan import ConversionPlan, check_validation, plan_for, with_taps, with_validation
from lwmport.pipeline.convert.request import RECIPE, ConvertRequest, Outcome
from lwmport.pipeline.convert.taps import check_taps, write_taps
from lwmport.pipeline.convert.validation import judge_all
from lwmport.pipeline.convert.work import Work, open_request
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.validate.reference_runs import DYNAMIC_TRIAL
from lwmport.pipeline.validate.test_inputs import TestInputs
from lwmport.reports import numbers
from lwmport.reports.files import NAMES as REPORT
from lwmport.reports.files import older_pages
from lwmport.reports.record import Conversion
from lwmport.requests import by_fields
from lwmport.runtime.registry import check_runs, check_takes
from lwmport.types import Component, Status

ROUNDINGS: Final = ".roundings"
"""The folder of roundings in the scratch folder; the journal of this name says that they are worth keeping."""


@by_fields(ConvertRequest)
def convert(request: ConvertRequest, observer: Observer | None = None) -> Outcome:
    """Convert every component that the request names, judge it, and write manifest and report.

    The request is opened once. Each stage behind that reads and fills the one `Work`.

    Raises:
        PortError: it cannot be done, see the subclasses; nothing was written then.
    """
    work = _within_budget(opened(request, observer or Silent()))
    if work.weights.source.get("left_over"):
        work.observer.phase(f"checkpoint {work.weights.source['description']}")
    return _filled(work)


def _within_budget(work: Work) -> Work:
    """Return a work whose bits keep its budget; the same where it has none."""
    request = work.request
    if request.budget_gb is None and request.budget_kl is None:
        return work
    check(work)  # before minutes are spent
    _find_scales(work)  # which the files have besides
    recipe, found = with_budget(work)
    made = opened(recipe, work.observer)
    made.budget = found
    return made


def opened(request: ConvertRequest, observer: Observer) -> Work:
    """Return a work of which nothing is done yet.

    Raises:
        PortError: no such model, an option that it does not take, or weights that cannot be read or do not fit.
    """
    dialect, family, weights = open_request(request)
    return Work(request=request, dialect=dialect, family=family, weights=weights, observer=observer)


def _filled(work: Work) -> Outcome:
    """Return what came of a work: its folder is filled whole or not at all."""
    out = work.request.out
    check(work)
    _calibrate(work)  # before anything asks for the identity of the work, which the ranges are part of
    plan = _plan(work)
    with (
        resume.told(out, work.identity),
        atomic.new_folder(
            out, last=manifest.NAME, owned=work.earlier, request=work.identity, fresh=not work.request.resume
        ) as work.folder,
    ):
        start = time.perf_counter()
        _keep_roundings(work)
        with memory.AnonymousPeak(started=True) as own:
            check_taps(work)
            weights_sha256 = _convert_all(work)
            settle(work)
        seconds, peak = time.perf_counter() - start, memory.peak_bytes()
        report = judge_all(work, weights_sha256) if work.request.validate else None
        status = report.status if report else Status.NOT_JUDGED
        made = _manifest(work, weights_sha256, status)
        manifest.write(made, work.folder)
    return Outcome(
        out=out,
        manifest=made,
        report=report,
        seconds=seconds,
        peak_bytes=peak,
        status=status,
        own_peak_bytes=own.peak_bytes,
        plan=plan,
    )


def _calibrate(work: Work) -> None:
    """Find what convolutions and products of integers round to, where there are some: it is part of the model then."""
    batch = work.request.batch if isinstance(work.request.batch, int) else DYNAMIC_TRIAL
    found = calibrated(work.family, work.weights, work.sampling, batch, work.observer)
    if found.words:
        source = "--inputs" if work.request.inputs else "default"
        ranges = Choice("ranges of what convolutions round", found.words, source)
        work.family = replace(found.family, choices=(*found.family.choices, ranges))
    request = work.request
    told, words = product_ranges(work.family, work.weights, request.checkpoint, request.calibrate_on, work.observer)
    if told:
        source = "--calibrate-on" if request.calibrate_on else "default"
        ranges = Choice("ranges of what matrices are multiplied with", f"extremes on {words}", source)
        family = rounding(work.family, told)
        work.family = replace(family, choices=(*family.choices, ranges))
    _find_scales(work)


def _find_scales(work: Work) -> None:
    """Find the scales of a cache of codes, where one is asked for: they are part of the model then."""
    request = work.request
    found, words = cache_scales(work.family, work.weights, request.checkpoint, request.calibrate_on, work.observer)
    if found:
        source = "--calibrate-on" if request.calibrate_on else "default"
        family = caching(work.family, found)
        scales = Choice("scales of the cache", f"extremes on {words}", source)
        work.family = replace(family, choices=(*family.choices, scales))


def check(work: Work) -> None:
    """Return if the folder is free and can be written, and everything that converts and judges is there.

    Raises:
        PortError: it is not, or cannot.
    """
    request, names = work.request, [component.name for component in work.family.components]
    check_products(work.family.references, work.family.options, work.dialect)
    _ = work.rounder  # a text that is missing is told before anything is written
    check_cache_text(work.family, work.weights, request.checkpoint, request.calibrate_on)
    converter_for(work.dialect)  # a module that it needs is missed now, and the plan knows its memory
    _ = work.vocabulary  # a tokenizer that is missing or does not fit is told before anything is written
    if request.runner is not None:
        check_takes(request.runner, request.suffix)
    if request.validate:
        _check_judge(request.suffix, work.runner)
    _check_size(work)
    check_writable(request.out)
    check_free(request.out, names, request.format, work.shared, (TABLE, RECIPE) if work.budget else ())
    planned = [f"{name}{request.suffix}" for name in names]
    planned += [f"{name}.data" for name in planned] if request.format == "onnx" else []
    planned += [] if request.budget_gb is None and request.budget_kl is None else [TABLE, RECIPE]
    check_names(
        request.out,
        [*planned, manifest.NAME, *(REPORT if request.validate else older_pages(request.out))],
        work.earlier,
    )
    _check_inputs(work)
    check_parts(work.family)


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


def _check_size(work: Work) -> None:
    """Return if the weights of each component fit into what holds them in the dialect.

    Raises:
        LoweringError: they are larger.
    """
    for component in work.family.components if is_limited(work.dialect) else ():
        size = sum(spec.nbytes for spec in component.weights.values())
        if size > LIMIT:
            raise LoweringError(
                f"expected at most {LIMIT} bytes of weights (2 GiB) in the dialect {work.dialect.name!r}, found {size} "
                f"in {component.name}; convert to another format, or one layer at a time"
            )


def _check_judge(suffix: str, runner: str | None) -> None:
    """Return if what is going to run the models can start here: to learn it after a conversion is too late."""
    try:
        check_runs(suffix, runner)
    except RunnerError as error:
        raise RunnerError(f"{error}; or add --no-validate, and judge the models elsewhere") from error


def planned(work: Work, *, trial: bool = True) -> ConversionPlan:
    """Return the plan of a work.

    Raises:
        PortError: the disk has no room, or the machine cannot hold what validation needs.
    """
    request, family = work.request, work.family
    if request.validate:
        check_validation(family, request.format)
    done = resume.done_bytes(request.out, work.identity) if request.resume else 0
    found = plan_for(family, work.weights, request.format, request.out, done, work.written, trial=trial)
    found = with_taps(found, family) if request.taps else found
    return with_validation(found, family, work.weights) if request.validate else found


def _plan(work: Work) -> ConversionPlan:
    """Return the plan, after telling it.

    Raises:
        PortError: the disk has no room, or the machine cannot hold what validation needs.
    """
    found = planned(work)
    work.observer.phase(f"plan: {found.sentence}")
    if found.peak_bytes is not None:
        memory.check_free(found.peak_bytes - (memory.anonymous_bytes() or 0), "convert it")
    if found.done_bytes:
        done = numbers.size(found.done_bytes)
        work.observer.phase(f"resume: {done} are done by an interrupted run (--no-resume starts afresh)")
    return found


def _convert_all(work: Work) -> str:
    """Convert every component and return the digest of the weights, which is taken meanwhile."""
    weights_sha256 = Background(work.weights.digest)
    for component in work.family.components:
        _convert_one(work, component)
    work.observer.phase(f"digest of {work.weights.source['description']}")
    return weights_sha256.result()


def _keep_roundings(work: Work) -> None:
    """Let roundings that take runs of the model be kept with the work, so that the next run goes on with them."""
    if work.rounder is not None:
        work.rounder.folder = work.folder / ROUNDINGS
        (work.folder / f"{ROUNDINGS}.journal").touch()


def _convert_one(work: Work, component: Component) -> None:
    start = time.perf_counter()
    if work.rounder is not None:
        work.rounder.run(component)
    artifact, program_sha256 = lower(work, component, work.dialect, work.folder)
    taps = write_taps(work, component, artifact) if work.request.taps else None
    shown = work.family.spec.prepared(artifact.signature)
    found = manifest.entry(artifact, program_sha256, taps, shown)
    found = replace(found, rounded=dict(component.rounded), details={**found.details, **packed(component)})
    if work.rounder is not None:
        found = replace(found, details={**found.details, **work.rounder.record(component)})
    work.parts.append(found)
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
        choices=work.choices,
    )
