"""Every artifact of a conversion beside the reference, and the report on all."""

import contextlib
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from lwmport import extras, manifest, memory
from lwmport.checkpoints.model_weights import component_weights
from lwmport.choices import Choice, is_random
from lwmport.converters import ROUTES
from lwmport.converters.dialects import dialect_for
from lwmport.manifest import ComponentEntry
from lwmport.models.storage import judged_in
from lwmport.pipeline.check import with_preflight
from lwmport.pipeline.convert.budget_words import words as budget_words
from lwmport.pipeline.convert.lower import lower
from lwmport.pipeline.convert.work import Work
from lwmport.pipeline.destination import destination_of, place_of
from lwmport.pipeline.validate.accuracy import accuracy_of, exact_outputs
from lwmport.pipeline.validate.cache_cost import cache_notes
from lwmport.pipeline.validate.closer import judge_closer
from lwmport.pipeline.validate.input_words import InputWords, together
from lwmport.pipeline.validate.judge import Judgement, component_report, judge, open_runner, unjudged, why_not
from lwmport.pipeline.validate.layer_losses import layer_losses
from lwmport.pipeline.validate.ranges import with_ranges_of_failed
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather, trial_batch
from lwmport.pipeline.validate.storage_cost import storage_notes
from lwmport.reports.answer import assemble
from lwmport.reports.files import write_report
from lwmport.reports.record import ComponentReport, Conversion, InputsFact, Report, WeightsSource
from lwmport.runtime.registry import precision_of
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Component, Runner, Weights
from lwmport.validators.tolerances import coarsest

DIRECT: Final = ".direct"
"""The folder of an artifact that is only compared with: hidden, so that no later run counts what is in it as done."""


@dataclass(kw_only=True)
class _Found:
    """What is found on the artifacts so far: sections of the report, its pictures by name, and what was judged on."""

    sections: list[ComponentReport] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    told: list[InputWords] = field(default_factory=list)


def judge_all(work: Work, weights_sha256: str) -> Report:
    """Run every artifact beside the reference and write the report into the folder."""
    found = _Found()
    for component, part, cost in zip(work.family.references, work.parts, work.costs, strict=True):
        reason = why_not(work.folder / part.path, work.runner)
        if reason:
            judgement = unjudged(component.name, part.path, reference_kind(component).name, reason)
            section = component_report(part, judgement, _facts(work), cost, weights_sha256)
            found.sections.append(_placed(section, work, part))
        else:
            _judge_one(work, component, part, cost, weights_sha256, found)
    report = new_report(
        work.request.component,
        work.weights.source,
        tuple(found.sections),
        work.request.commands(),
        choices=work.choices,
        inputs=together(found.told),
    )
    work.observer.phase("write the report")
    write_report(report, work.folder, found.pictures)
    return report


def _judge_one(
    work: Work, component: Component, part: ComponentEntry, cost: Conversion, weights_sha256: str, found: _Found
) -> None:
    """Run an artifact beside the reference, and add what is found."""
    work.observer.phase(f"{component.name}: run the reference, {reference_kind(component).name}")
    weights = component_weights(work.family, component, work.weights)
    sampling = work.sampling.of(part.signature.inputs[0].shape[0])
    run = gather(component, weights, trial_batch(part.signature), work.observer.progress, sampling)
    found.told += [run.words] if run.words else []
    judgement = _judgement(work, component, part, run, weights)
    found.pictures.update(judgement.pictures)
    section = component_report(part, judgement, _facts(work), cost, weights_sha256)
    section = _with_costs(section, work, part, run, judgement, weights)
    found.sections.append(_placed(section, work, part))
    if work.dialect.name in ROUTES:
        narrow = next(item for item in work.family.components if item.name == component.name)
        found.sections.append(_judge_direct(work, narrow, run, weights_sha256))


def _judgement(
    work: Work, component: Component, part: ComponentEntry, run: ReferenceRun, weights: Weights
) -> Judgement:
    """Return all verdicts on an artifact."""
    work.observer.phase(f"{component.name}: run {part.path} and compare")
    options, path, tell = work.family.options, work.folder / part.path, work.observer.phase
    judged = coarsest(judged_in(options), precision_of(work.runner))
    judgement = judge(path, part.signature, run, judged, tell, _opener(work))
    return judge_closer(
        judgement, component, path, part.signature, run, weights=weights, precision=judged_in(options), tell=tell
    )


def _with_costs(
    section: ComponentReport,
    work: Work,
    part: ComponentEntry,
    run: ReferenceRun,
    judgement: Judgement,
    weights: Weights,
) -> ComponentReport:
    """Return a section with what rounding costs, and whether a budget is kept."""
    options, exact = work.family.options, exact_outputs(weights, run)
    layers, untold = layer_losses(work.folder, part, weights, run, options.precision, _opener(work))
    notes, faults = budget_words(work) if part is work.parts[0] else ((), ())
    section = replace(
        section,
        notes=(
            *notes,
            *section.notes,
            *storage_notes(part, weights, run, exact[0]),
            *cache_notes(weights, run),
            *untold,
        ),
        faults=(*section.faults, *faults),
        accuracy=accuracy_of(weights, run, exact, judgement.outputs, options.precision),
        layers=layers,
    )
    return with_ranges_of_failed(section, run, weights, options)


def _facts(work: Work) -> tuple[str, str, str]:
    return work.request.format, work.dialect.name, work.family.options.precision


def _placed(section: ComponentReport, work: Work, part: ComponentEntry) -> ComponentReport:
    """Return a report with what the target says of the file, and where it was run."""
    path = work.folder / part.path
    where, on_device = place_of(path, work.runner)
    return replace(with_preflight(section, path), where=where, on_device=on_device)


def _judge_direct(work: Work, component: Component, run: ReferenceRun, weights_sha256: str) -> ComponentReport:
    """Return the report on the direct lowering of a component that took another route: two lowerings, one reference.

    Its artifact is for comparison only and is not kept; neither are its pictures.
    """
    direct = dialect_for(work.request.format)
    start = time.perf_counter()
    with _scratch(work.folder / DIRECT) as scratch:
        artifact, program_sha256 = lower(work, component, direct, scratch)
        part = manifest.entry(artifact, program_sha256, preprocessing=work.family.spec.prepared(artifact.signature))
        cost = Conversion(seconds=time.perf_counter() - start, peak_bytes=memory.peak_bytes())
        named = replace(run, component=replace(component, name=f"{component.name}, directly"), titles=())
        precision = work.family.options.precision
        judgement = judge(artifact.path, part.signature, named, precision, opener=_opener(work))
    facts = (work.request.format, direct.name, precision)
    return component_report(part, judgement, facts, cost, weights_sha256)


def _opener(work: Work) -> Callable[..., Runner]:
    """Return what opens the artifacts: the runner that the request names, or the dialect."""
    return partial(open_runner, runner=work.runner)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a folder that is empty, whatever a run that was killed has left there, and takes it away after that."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_report(  # noqa: PLR0913 - keywords, what a report says beside its components
    title: str,
    source: Mapping[str, Any],
    sections: tuple[ComponentReport, ...],
    commands: tuple[str, ...],
    *,
    choices: tuple[Choice, ...] = (),
    left_out: tuple[str, ...] = (),
    inputs: InputWords | None = None,
) -> Report:
    """Return the report on some components of one model; ``left_out`` are its others, which are not judged."""
    forms = sorted({f"{section.artifact.format} ({section.artifact.dialect})" for section in sections})
    return assemble(
        title=f"{title} to {', '.join(forms)}",
        weights=WeightsSource(kind="seeded" if is_random(source) else "file", description=source["description"]),
        components=sections,
        versions=extras.versions(),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        commands=commands,
        choices=choices,
        destination=destination_of(sections),
        left_out=left_out,
        inputs=None if inputs is None else InputsFact(words=inputs.words, source=inputs.source, samples=inputs.samples),
    )
