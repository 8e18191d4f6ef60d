"""From a checkpoint to artifacts, a manifest and a report, all in one folder, whole or not at all."""

import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lwmport
from lwmport import atomic, digest, extras, manifest, memory, plain
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters import CONVERTERS, ROUTES, converter_for
from lwmport.converters.dialects import dialect_for
from lwmport.graphs.trace import trace
from lwmport.models.families import Family, resolve
from lwmport.models.options import Options
from lwmport.pipeline import resume
from lwmport.pipeline.background import Background
from lwmport.pipeline.check import with_preflight
from lwmport.pipeline.checkpoint_trees import config_of
from lwmport.pipeline.evidence import Evidence, gather, trial_batch
from lwmport.pipeline.judge import component_report, judge
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.plan import Plan, check_validation, plan_for
from lwmport.pipeline.weights import component_weights, fitting
from lwmport.registry import check_known
from lwmport.reports import numbers
from lwmport.reports.files import write_report
from lwmport.reports.record import ComponentReport, Conversion, Report, WeightsSource, assemble
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import Artifact, Component, Dialect, Status

NOT_VALIDATED = "not validated"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to convert, into what, from which weights, and where to put it.

    ``resume`` is whether to go on with what an interrupted run of the same request has left, rather than delete it.
    """

    component: str
    format: str
    out: Path
    checkpoint: str | None = None
    config: str | Mapping[str, Any] = "lwm"
    dialect: str | None = None
    opset: int | None = None
    batch: int | str = 1
    seed: int = 0
    validate: bool = True
    options: Options = field(default_factory=Options)
    resume: bool = True

    def commands(self) -> tuple[str, str]:
        """Return the command lines that convert and validate again, with the checkpoint's file name alone."""
        words = [f"lwmport convert --component {self.component} --to {self.format}", *self._checkpoint()]
        given = {
            "config": self.config if isinstance(self.config, str) else "config.json",
            "dialect": self.dialect,
            "opset": self.opset,
            "batch": self.batch,
            "seed": self.seed,
        }
        usual = {"config": "lwm", "batch": 1, "seed": 0}
        words += [f"--{name} {value}" for name, value in given.items() if value not in (None, usual.get(name))]
        words += self.options.words()
        words += [*([] if self.validate else ["--no-validate"]), "--out DIR"]
        return " ".join(words), " ".join(["lwmport validate DIR", *self._checkpoint()])

    def _checkpoint(self) -> list[str]:
        if self.checkpoint is None:
            return []
        prefix, separator, path = self.checkpoint.rpartition("::")
        return [f"--checkpoint {prefix}{separator}{Path(path).name}"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out: manifest, report unless validation was left out, cost, and what failed besides the numbers.

    ``own_peak_bytes`` is the largest anonymous memory during the conversion, where it is known; ``plan`` is what was
    expected of it.
    """

    out: Path
    manifest: manifest.Manifest
    report: Report | None
    seconds: float
    peak_bytes: int
    status: Status
    failures: tuple[str, ...] = ()
    own_peak_bytes: int | None = None
    plan: Plan | None = None


@dataclass
class _Work:
    """One conversion under way."""

    request: Request
    family: Family
    dialect: Dialect
    weights: Checkpoint | SeededWeights
    folder: Path
    observer: Observer
    parts: list[manifest.ComponentEntry] = field(default_factory=list)
    costs: list[Conversion] = field(default_factory=list)


def convert(request: Request, observer: Observer | None = None) -> Outcome:
    """Convert every component that the request names, judge it, and write manifest and report.

    Raises:
        PortError: it cannot be done, see the subclasses; nothing was written then.
    """
    observer = observer or Silent()
    check_known("format", request.format, CONVERTERS)
    dialect = dialect_for(request.format, request.dialect, request.opset, ALL_DIALECTS)
    family, weights = open_model(request, dialect)
    identity = resume.identity(_facts(request, dialect, family), weights)
    converter_for(dialect)  # imported now, so that the plan knows its memory
    planned = _plan(request, family, weights, identity, observer)
    with (
        resume.told(observer, request.out, identity),
        atomic.new_folder(request.out, last=manifest.NAME, request=identity, fresh=not request.resume) as folder,
    ):
        work = _Work(request=request, family=family, dialect=dialect, weights=weights, folder=folder, observer=observer)
        start = time.perf_counter()
        with memory.AnonymousPeak() as own:
            weights_sha256 = _convert_all(work)
        seconds, peak = time.perf_counter() - start, memory.peak_bytes()
        report = _judge_all(work, weights_sha256) if request.validate else None
        status = report.status if report else Status.SKIPPED
        made = _manifest(work, weights_sha256, status if report else NOT_VALIDATED)
        manifest.write(made, folder)
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


def _facts(request: Request, dialect: Dialect, family: Family) -> dict[str, Any]:
    """Return what decides every byte of a conversion beside the weights."""
    return {
        "component": request.component,
        "dialect": plain.encode(dialect),
        "batch": request.batch,
        "config": dict(family.config),
        "options": family.options.to_json(),
    }


def _plan(
    request: Request, family: Family, weights: Checkpoint | SeededWeights, identity: str, observer: Observer
) -> Plan:
    """Return the plan, after telling it.

    Raises:
        PortError: the disk has no room, or the machine cannot hold what validation needs.
    """
    if request.validate:
        check_validation(family)
    done = resume.done_bytes(request.out, identity) if request.resume else 0
    planned = plan_for(family, weights, request.format, request.out, done)
    observer.phase(f"plan: {planned.sentence}")
    if done:
        observer.phase(f"resume: {numbers.size(done)} are done by an interrupted run (--no-resume starts afresh)")
    return planned


def _convert_all(work: _Work) -> str:
    """Convert every component and return the digest of the weights, which is taken meanwhile."""
    weights_sha256 = Background(work.weights.digest)
    for component in work.family.components:
        _convert_one(work, component)
    work.observer.phase(f"digest of {work.weights.source['description']}")
    return weights_sha256.result()


def open_model(request: Request, dialect: Dialect) -> tuple[Family, Checkpoint | SeededWeights]:
    """Return the model of a request, cut as its dialect wants it, and its weights.

    Raises:
        PortError: no such model, or weights that cannot be read or do not fit.
    """
    options = request.options
    check_known(f"precision of {dialect.name}", options.precision, dialect.precisions)
    options = replace(
        options,
        attention=options.attention or dialect.attention.replace("fused", ""),
        static=options.static or dialect.static,
    )
    opened = None if request.checkpoint is None else open_checkpoint(request.checkpoint)
    config = config_of(opened, request.config)
    family = resolve(request.component, config, options, None if opened is None else opened.specs)
    return family, fitting(family, opened, request.seed)


def _convert_one(work: _Work, component: Component) -> None:
    start = time.perf_counter()
    artifact, program_sha256 = _lower(work, component, work.dialect, work.folder)
    work.parts.append(manifest.entry(artifact, program_sha256))
    work.costs.append(Conversion(seconds=time.perf_counter() - start, peak_bytes=memory.peak_bytes()))


def _lower(work: _Work, component: Component, dialect: Dialect, folder: Path) -> tuple[Artifact, str]:
    """Return the artifact of a component in a dialect, written into ``folder``, and the program's digest."""
    weights = component_weights(work.family, component, work.weights)
    if not dialect.lowered:
        work.observer.phase(f"{component.name}: write {dialect.format}")
        renamed: Artifact = converter_for(dialect)(component, weights, dialect, folder, work.observer.progress)
        return renamed, digest.of_json({"component": component.name, "config": dict(component.config)})
    work.observer.phase(f"{component.name}: trace")
    program = trace(component, work.request.batch)
    work.observer.phase(f"{component.name}: write {dialect.format} in the dialect {dialect.name}")
    artifact: Artifact = converter_for(dialect)(program, weights, dialect, folder, work.observer.progress)
    return artifact, program.digest


def _judge_all(work: _Work, weights_sha256: str) -> Report:
    """Run every artifact beside the reference and write the report into the folder."""
    sections: list[ComponentReport] = []
    pictures: dict[str, bytes] = {}
    precision = work.family.options.precision
    for component, part, cost in zip(work.family.references, work.parts, work.costs, strict=True):
        work.observer.phase(f"{component.name}: run the reference, JAX")
        weights = component_weights(work.family, component, work.weights)
        evidence = gather(component, weights, trial_batch(part.signature))
        work.observer.phase(f"{component.name}: run {part.path} and compare")
        judgement = judge(work.folder / part.path, part.signature, evidence, precision)
        pictures.update(judgement.pictures)
        facts = (work.request.format, work.dialect.name, precision)
        section = component_report(part, judgement, facts, cost, weights_sha256)
        sections.append(with_preflight(section, work.folder / part.path))
        if work.dialect.name in ROUTES:
            narrow = next(item for item in work.family.components if item.name == component.name)
            sections.append(_judge_direct(work, narrow, evidence, weights_sha256))
    report = new_report(work.request.component, work.weights.source, tuple(sections), work.request.commands())
    work.observer.phase("write the report")
    write_report(report, work.folder, pictures)
    return report


def _judge_direct(work: _Work, component: Component, evidence: Evidence, weights_sha256: str) -> ComponentReport:
    """Return the report on the direct lowering of a component that took another route: two lowerings, one reference.

    Its artifact is for comparison only and is not kept; neither are its pictures.
    """
    direct = dialect_for(work.request.format)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=work.folder, prefix=".direct-") as scratch:
        artifact, program_sha256 = _lower(work, component, direct, Path(scratch))
        part = manifest.entry(artifact, program_sha256)
        cost = Conversion(seconds=time.perf_counter() - start, peak_bytes=memory.peak_bytes())
        named = replace(evidence, component=replace(component, name=f"{component.name}, directly"), titles=())
        precision = work.family.options.precision
        judgement = judge(artifact.path, part.signature, named, precision)
    facts = (work.request.format, direct.name, precision)
    return component_report(part, judgement, facts, cost, weights_sha256)


def new_report(
    title: str, source: Mapping[str, Any], sections: tuple[ComponentReport, ...], commands: tuple[str, ...]
) -> Report:
    """Return the report on some components of one model."""
    forms = sorted({f"{section.artifact.format} ({section.artifact.dialect})" for section in sections})
    return assemble(
        title=f"{title} to {', '.join(forms)}",
        weights=WeightsSource(kind=source["kind"], description=source["description"]),
        components=sections,
        versions=extras.versions(),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        commands=commands,
    )


def _manifest(work: _Work, weights_sha256: str, verdict: str) -> manifest.Manifest:
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
