"""Every artifact of a conversion beside the reference, and the report on all."""

import contextlib
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
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
from lwmport.pipeline.validate.convolutions_alone import judge_convolutions
from lwmport.pipeline.validate.input_words import InputWords, together
from lwmport.pipeline.validate.judge import component_report, judge, open_runner, unjudged, why_not
from lwmport.pipeline.validate.layer_losses import layer_losses
from lwmport.pipeline.validate.ranges import with_ranges_of_failed
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather, trial_batch
from lwmport.pipeline.validate.rounded_cache import judge_cache
from lwmport.pipeline.validate.rounded_products import judge_products
from lwmport.pipeline.validate.storage_cost import storage_notes
from lwmport.pipeline.validate.weights_read_back import judge_weights
from lwmport.reports.answer import assemble
from lwmport.reports.files import write_report
from lwmport.reports.record import ComponentReport, Conversion, InputsFact, Report, WeightsSource
from lwmport.runtime.registry import precision_of
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Component, Runner
from lwmport.validators.tolerances import coarsest

DIRECT: Final = ".direct"
"""The folder of an artifact that is only compared with: hidden, so that no later run counts what is in it as done."""


def judge_all(work: Work, weights_sha256: str) -> Report:
    """Run every artifact beside the reference and write the report into the folder."""
    sections: list[ComponentReport] = []
    pictures: dict[str, bytes] = {}
    told: list[InputWords] = []
    options = work.family.options
    for component, part, cost in zip(work.family.references, work.parts, work.costs, strict=True):
        facts = (work.request.format, work.dialect.name, options.precision)
        reason = why_not(work.folder / part.path, work.request.runner)
        if reason:
            judgement = unjudged(component.name, part.path, reference_kind(component).name, reason)
            sections.append(_placed(component_report(part, judgement, facts, cost, weights_sha256), work, part))
            continue
        work.observer.phase(f"{component.name}: run the reference, {reference_kind(component).name}")
        weights = component_weights(work.family, component, work.weights)
        sampling = work.sampling.of(part.signature.inputs[0].shape[0])
        run = gather(component, weights, trial_batch(part.signature), work.observer.progress, sampling)
        told += [run.words] if run.words else []
        work.observer.phase(f"{component.name}: run {part.path} and compare")
        path, tell = work.folder / part.path, work.observer.phase
        judged = coarsest(judged_in(options), precision_of(work.request.runner))
        judgement = judge(path, part.signature, run, judged, tell, _opener(work))
        judgement = judge_products(judgement, path, part.signature, run, judged_in(options), tell)
        judgement = judge_cache(judgement, part.signature, run, judged_in(options))
        judgement = judge_convolutions(judgement, path, part.signature, run, weights, tell)
        judgement = judge_weights(judgement, component, path, weights)
        pictures.update(judgement.pictures)
        section = component_report(part, judgement, facts, cost, weights_sha256)
        exact = exact_outputs(weights, run)
        layers, untold = layer_losses(work.folder, part, weights, run, options.precision, _opener(work))
        section = replace(
            section,
            notes=(*section.notes, *storage_notes(part, weights, run, exact[0]), *cache_notes(weights, run), *untold),
            accuracy=accuracy_of(weights, run, exact, judgement.outputs, options.precision),
            layers=layers,
        )
        if part is work.parts[0]:
            notes, faults = budget_words(work)
            section = replace(section, notes=(*notes, *section.notes), faults=(*section.faults, *faults))
        section = with_ranges_of_failed(section, run, weights, options)
        sections.append(_placed(section, work, part))
        if work.dialect.name in ROUTES:
            narrow = next(item for item in work.family.components if item.name == component.name)
            sections.append(_judge_direct(work, narrow, run, weights_sha256))
    report = new_report(
        work.request.component,
        work.weights.source,
        tuple(sections),
        work.request.commands(),
        choices=work.choices,
        inputs=together(told),
    )
    work.observer.phase("write the report")
    write_report(report, work.folder, pictures)
    return report


def _placed(section: ComponentReport, work: Work, part: ComponentEntry) -> ComponentReport:
    """Return a report with what the target says of the file, and where it was run."""
    path = work.folder / part.path
    where, on_device = place_of(path, work.request.runner)
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
    """Return what opens the artifacts: the runner that the request names."""
    return partial(open_runner, runner=work.request.runner)


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
