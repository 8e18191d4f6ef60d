"""The whole road to a device: convert, validate, check, compile, bundle; what is done is not done again."""

import contextlib
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, digest, extras, manifest, memory, plain
from lwmport.errors import PortError
from lwmport.models.families import is_file
from lwmport.pipeline.bundle.bundle_targets import RULE_PRECISIONS
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.compile.run import AUTO, CompileRequest, compile_artifacts, status_of
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.port.compiled_run import check_fits, judge_compiled
from lwmport.pipeline.port.ledger import Facts, Ledger, Stage, facts, state
from lwmport.registry import check_known
from lwmport.requests import by_fields, check_types
from lwmport.runtime.registry import RUNNERS, check_startable
from lwmport.targets.compile.devices import check_device, check_options
from lwmport.targets.compile.tools import installed
from lwmport.targets.preflight import Conditions, check
from lwmport.targets.registry import TARGETS
from lwmport.types import Severity, Status

MODELS: Final = "models"
COMPILED: Final = "compiled"
PREFLIGHT: Final = "preflight.json"


@dataclass(frozen=True, kw_only=True)
class PortRequest:
    """One model for one device. ``conversion`` says what and where to.

    Attributes:
        conversion: `lwmport.pipeline.convert.request.ConvertRequest`; its ``out`` is the folder of the whole port, its
            dialect one of the target's, the usual one if it names none.
        target: a key of `lwmport.targets.registry.TARGETS`.
        soc: the device within the target.
        toolchain: the vendor's SDK, if it is not where it usually is.

    Raises:
        UsageError: the target does not take such a format, dialect or device, or has no toolchain; no such runner, or
            one that takes neither the converted models nor what the target's compiler makes of them.
    """

    conversion: ConvertRequest
    target: str
    soc: str | None = None
    toolchain: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what no target takes."""
        check_types(self)
        TARGETS.require(self.target)
        target, form = TARGETS[self.target], self.conversion.format
        check_known(f"format for {self.target}", form, target.formats)
        check_known(f"dialect for {self.target}", self.dialect, target.dialects_of(form))
        check_device(self.target, form, self.soc)
        check_options(self.target, {"toolchain": self.toolchain})
        if self.runner is not None:
            compiled = target.made_of(form, self.soc)
            check_fits(self.runner, self.target, self.conversion.suffix, compiled)

    @property
    def dialect(self) -> str:
        """The dialect to convert in."""
        return self.conversion.dialect or TARGETS[self.target].formats[self.conversion.format].name

    @property
    def converted(self) -> ConvertRequest:
        """The conversion as it is run: into a folder of its own, in the dialect."""
        runner = None if self.runs_compiled else self.runner
        return replace(self.conversion, out=self.models, dialect=self.dialect, runner=runner)

    @property
    def runner(self) -> str | None:
        """What runs the models to judge them, or, where it takes no such file, what runs the compiled ones."""
        return self.conversion.runner

    @property
    def runs_compiled(self) -> bool:
        """Whether the runner that is named takes what is compiled, rather than what is converted."""
        return self.runner is not None and self.conversion.suffix not in RUNNERS[self.runner].suffixes

    @property
    def out(self) -> Path:
        """The folder of the port."""
        return self.conversion.out

    @property
    def chip(self) -> str | None:
        """The device within the target: the one asked for, or the target's usual one."""
        return self.soc or TARGETS[self.target].usual_chip or None

    @property
    def models(self) -> Path:
        """The folder that the conversion writes."""
        return self.out / MODELS

    @property
    def bundle(self) -> Path:
        """The file to send."""
        return self.out / f"{self.conversion.component}-{self.target}.zip"

    def digest(self) -> str:
        """Return what decides every result: request without its folder, files as they lie there now, versions."""
        config = self.conversion.config
        return digest.of_json(
            {
                "request": plain.encode_asked(replace(self, conversion=replace(self.conversion, out=Path()))),
                "checkpoint": _identity(self.conversion.checkpoint),
                **({} if self.conversion.inputs is None else {"inputs": _identity(str(self.conversion.inputs))}),
                "config": _identity(config) if isinstance(config, str) and is_file(config) else [],
                "versions": extras.versions(),
            }
        )


@dataclass(frozen=True, kw_only=True)
class PortOutcome:
    """What came of a port: its stages in order, and one verdict."""

    title: str
    target: str
    out: Path
    stages: tuple[Stage, ...]
    status: Status
    sentence: str
    peak_bytes: int


def usual_format(target: str) -> str:
    """Return the format that a target takes best.

    Raises:
        UsageError: no such target.
    """
    return next(iter(TARGETS[target].formats))


@by_fields(PortRequest)
def port(request: PortRequest, observer: Observer | None = None) -> PortOutcome:
    """Take a model to a device and return the verdict; stages that a run before this one finished stay as they are.

    A failed stage ends the road. A compiler that is not installed leaves its stage skipped and the road open: the
    bundle then carries the exact command.

    Raises:
        PortError: a stage could not be done or judged at all. A folder that nothing came into is gone again.
    """
    observer = observer or Silent()
    if request.runner is not None:
        check_startable(request.runner)
    ledger, tools = _ledger(request), installed(request.target, request.toolchain)
    existed = request.out.exists()
    try:
        stages = _stages(request, ledger, tools, observer)
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):
                request.out.rmdir()
        raise
    return _outcome(request, stages)


def _stages(request: PortRequest, ledger: Ledger, tools: Mapping[str, str] | None, observer: Observer) -> list[Stage]:
    """Run what is left of the road up to a failure, and return every stage of it."""
    stages: list[Stage] = []
    for name, run in STAGES.items():
        found = ledger.done(name, tools)
        if found is None:
            start = time.perf_counter()
            observer.phase(f"{name}: {request.conversion.component} for {request.target}")
            found = run(request, observer)
            seconds = round(time.perf_counter() - start, 3)
            found = replace(found, seconds=seconds, peak_bytes=memory.peak_bytes())
            ledger.enter(found)
        else:
            observer.phase(f"{name}: done before")
        stages.append(found)
        if found.status is Status.FAILED:
            break
    missing = list(STAGES)[len(stages) :]
    stages += [Stage(name=name, status=Status.SKIPPED, reason=f"{stages[-1].name} failed") for name in missing]
    return stages


def finished(request: PortRequest) -> PortOutcome | None:
    """Return the verdict of a port of which `port` would do nothing again, from its folder alone; None of any other.

    Raises:
        PortError: a file or a toolchain that the request names does not exist.
    """
    ledger, tools = _ledger(request), installed(request.target, request.toolchain)
    stages = [stage for name in STAGES if (stage := ledger.done(name, tools))]
    return _outcome(request, stages) if len(stages) == len(STAGES) else None


def _ledger(request: PortRequest) -> Ledger:
    return Ledger(request.out, request.digest(), STAGES)


def _outcome(request: PortRequest, stages: list[Stage]) -> PortOutcome:
    status, sentence = _verdict(stages)
    return PortOutcome(
        title=title_of(request),
        target=request.target,
        out=request.out,
        stages=tuple(stages),
        status=status,
        sentence=sentence,
        peak_bytes=max(stage.peak_bytes for stage in stages),
    )


def title_of(request: PortRequest) -> str:
    """Return a name for a port that tells it from others of one table."""
    conversion = request.conversion
    form = conversion.format if conversion.dialect is None else f"{conversion.format} in {conversion.dialect}"
    return f"{conversion.component} to {request.target} ({form}, {conversion.options.precision})"


def _convert(request: PortRequest, observer: Observer) -> Stage:
    found = convert(request.converted, observer)
    report = found.report
    reason = report.sentence if report else "not validated"
    return Stage(
        name="convert", status=found.status, reason=reason, files=_files(request, sorted(request.models.rglob("*")))
    )


def _check(request: PortRequest, _: Observer) -> Stage:
    made = manifest.read(request.models)
    compiled = TARGETS[request.target].precision
    conditions = Conditions(
        target=request.target, chip=request.chip or "", precision=RULE_PRECISIONS.get(compiled, compiled)
    )
    found = [check(request.models / part.path, conditions) for part in made.components]
    with atomic.new_file(request.out / PREFLIGHT) as file:
        file.write(json.dumps(plain.encode(tuple(found)), indent=1, ensure_ascii=False).encode() + b"\n")
    counts = dict.fromkeys(Severity, 0)
    for preflight in found:
        for finding in preflight.findings:
            counts[finding.severity] += 1
    failed = any(preflight.status is Status.FAILED for preflight in found)
    said = ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items())
    errors = [f"{item.rule} {item.title}" for part in found for item in part.findings if item.severity == "error"]
    return Stage(
        name="check",
        status=Status.FAILED if failed else Status.PASSED,
        reason="; ".join([said, *dict.fromkeys(errors)]),
        files=_files(request, [request.out / PREFLIGHT]),
    )


def _compile(request: PortRequest, observer: Observer) -> Stage:
    tools, quantises = installed(request.target, request.toolchain), TARGETS[request.target].quantises
    given = _whole(request)
    found = compile_artifacts(
        CompileRequest(
            artifact=request.models,
            target=request.target,
            out=request.out / COMPILED,
            soc=request.chip,
            toolchain=request.toolchain,
            calibration=AUTO if quantises and not given else None,
            checkpoint=request.conversion.checkpoint if quantises and not given else None,
            inputs=given,
            samples=request.conversion.samples if given else None,
        ),
        observer,
    )
    status = status_of(found)
    reasons = list(dict.fromkeys(compilation.reason for compilation in found if compilation.status is status))
    if request.runner is not None and request.runs_compiled:
        folder, checkpoint = request.out / COMPILED, request.conversion.checkpoint
        if status is Status.PASSED:
            status, verdict = judge_compiled(found, folder, request.runner, checkpoint, observer)
            reasons.append(verdict)
        elif status is Status.SKIPPED:
            reasons.append(f"{request.runner} judged nothing, because nothing was compiled")
    return Stage(
        name="compile",
        status=status,
        reason="; ".join(reasons),
        files=_files(request, sorted((request.out / COMPILED).rglob("*"))),
        tools=tools,
    )


def _whole(request: PortRequest) -> Path | None:
    """Return the user's inputs where every model takes them as they are, which is what a compiler is compared on.

    Where a component is fed by another one, or its family fills inputs in, the compiler's own samples serve.
    """
    given = request.conversion.inputs
    narrow = request.conversion.options.precision != "float32"
    if given is None or narrow or given.suffix != ".npz" or given.is_dir():
        return None
    made = manifest.read(request.models)
    with zipfile.ZipFile(given) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
    return given if all({spec.name for spec in part.signature.inputs} == names for part in made.components) else None


def _bundle(request: PortRequest, observer: Observer) -> Stage:
    found = bundle(
        BundleRequest(
            folder=request.models,
            target=request.target,
            out=request.bundle,
            checkpoint=request.conversion.checkpoint,
            soc=request.chip,
            inputs=request.conversion.inputs,
            samples=request.conversion.samples,
        ),
        observer,
    )
    return Stage(
        name="bundle",
        status=Status.PASSED,
        reason=f"{found.out.name}, {found.bytes:,} bytes, sha256 {found.sha256}",
        files=_files(request, [found.out]),
    )


STAGES: Final[Mapping[str, Callable[[PortRequest, Observer], Stage]]] = {
    "convert": _convert,
    "check": _check,
    "compile": _compile,
    "bundle": _bundle,
}
"""The road, in order."""


def _files(request: PortRequest, paths: Iterable[Path]) -> tuple[Facts, ...]:
    return facts(request.out, paths)


def _identity(checkpoint: str | None) -> list[Any]:
    """Return what tells a file or a folder from another one: names, sizes and times."""
    if checkpoint is None:
        return []
    path = Path(checkpoint.rpartition("::")[2])
    if not path.exists():
        raise PortError(f"expected a file or a folder at {path}, found nothing")
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    return [[item.name, *state(item)] for item in paths]


def _verdict(stages: list[Stage]) -> tuple[Status, str]:
    """Return failed if a stage failed, else passed: what the sentence says of skipped ones is part of it."""
    failed = [stage for stage in stages if stage.status is Status.FAILED]
    if failed:
        return Status.FAILED, f"{failed[0].name} failed: {failed[0].reason}"
    skipped = [stage for stage in stages if stage.status is Status.SKIPPED]
    if not skipped:
        return Status.PASSED, "Converted, validated, checked, compiled and bundled."
    left = "; ".join(f"{stage.name} skipped: {stage.reason}" for stage in skipped)
    return Status.PASSED, f"Ready to send; {left}"
