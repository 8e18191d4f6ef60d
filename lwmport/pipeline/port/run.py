"""The whole road to a device: convert, validate, check, compile, bundle; what is done is not done again."""

import contextlib
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, digest, extras, manifest, memory, plain
from lwmport.choices import Choice
from lwmport.errors import ArtifactError, PortError
from lwmport.models.families import is_file
from lwmport.pipeline.bundle.bundle_targets import RULE_PRECISIONS
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.compile.run import AUTO, CompileRequest, compile_artifacts, status_of
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.destination import device_name, place_of
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.port.compiled_run import check_fits, judge_compiled
from lwmport.pipeline.port.ledger import Facts, Ledger, Stage, facts, state
from lwmport.pipeline.port.standing import COMPILED, MODELS, PREFLIGHT, check_ours, withdraw
from lwmport.registry import check_known
from lwmport.reports.answer import answered, proven
from lwmport.reports.files import read_report, rewrite
from lwmport.reports.record import Destination, Report
from lwmport.requests import by_fields, check_types
from lwmport.runtime.registry import RUNNERS, check_startable
from lwmport.targets.compile.choices import compile_choices, computed_in
from lwmport.targets.compile.devices import check_calibration, check_device, check_options
from lwmport.targets.compile.job import PRECISIONS, read_gears
from lwmport.targets.compile.tools import installed
from lwmport.targets.preflight import Conditions, check
from lwmport.targets.registry import TARGETS
from lwmport.types import ADDED, Severity, Status
from lwmport.verdicts import combined


@dataclass(frozen=True, kw_only=True)
class PortRequest:
    """One model for one device. ``conversion`` says what and where to.

    Attributes:
        conversion: `lwmport.pipeline.convert.request.ConvertRequest`; its ``out`` is the folder of the whole port, its
            dialect one of the target's, the usual one if it names none.
        target: a key of `lwmport.targets.registry.TARGETS`.
        soc: the device within the target.
        toolchain: the vendor's SDK, if it is not where it usually is.
        compile_precision: what the target's compiler computes in; None for its usual one.
        gears: the sizes of dynamic dimensions, as `lwmport.targets.compile.job.read_gears` reads them.
        calibration: samples for a compiler that quantises: a folder, or ``auto``, the usual.
        keep_float32: what stays in float32 where the rest does not.
        pictures_as_bytes: whether pictures are bytes that the device scales.
        extra: further options, in the words of the vendor's tool.

    Raises:
        UsageError: the target does not take such a format, dialect or device, or has no toolchain; no such runner, or
            one that takes neither the converted models nor what the target's compiler makes of them.
    """

    conversion: ConvertRequest
    target: str
    soc: str | None = None
    toolchain: Path | None = None
    compile_precision: str | None = field(default=None, metadata=ADDED)
    gears: str | None = field(default=None, metadata=ADDED)
    calibration: str | None = field(default=None, metadata=ADDED)
    keep_float32: tuple[str, ...] = field(default=(), metadata=ADDED)
    pictures_as_bytes: bool = field(default=False, metadata=ADDED)
    extra: tuple[str, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        """Refuse what no target takes."""
        check_types(self)
        settle(self, format=self.conversion.format)
        TARGETS.require(self.target)
        target, form = TARGETS[self.target], self.conversion.format
        check_known(f"format for {self.target}", form, target.formats)
        check_known(f"dialect for {self.target}", self.dialect, target.dialects_of(form))
        check_device(self.target, form, self.soc)
        names = ("toolchain", "keep_float32", "pictures_as_bytes", "extra")
        check_options(self.target, {name: getattr(self, name) for name in names})
        if self.compile_precision is not None:
            check_known("precision", self.compile_precision, PRECISIONS)
        if self.calibration is not None:
            check_calibration(self.target)
        read_gears(self.gears)
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
        return replace(
            self.conversion, out=self.models, dialect=self.dialect, runner=runner, choices=self.compile_choices
        )

    @property
    def compile_choices(self) -> tuple[Choice, ...]:
        """What is to be done with the models behind the conversion: device and precision, and who chose them."""
        conversion = self.conversion
        return compile_choices(
            self.target, conversion.format, self.soc, self.compile_precision, conversion.options.precision
        )

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
        config, told = self.conversion.config, self.conversion.calibrate_on
        return digest.of_json(
            {
                "request": plain.encode_asked(replace(self, conversion=replace(self.conversion, out=Path()))),
                "checkpoint": _identity(self.conversion.checkpoint),
                **({} if self.conversion.adapter is None else {"adapter": _identity(str(self.conversion.adapter))}),
                **({} if self.conversion.inputs is None else {"inputs": _identity(str(self.conversion.inputs))}),
                **({} if told is None else {"calibrate_on": _identity(str(told))}),
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
    choices: tuple[Choice, ...] = ()


def usual_format(target: str) -> str:
    """Return the format that a target takes best.

    Raises:
        UsageError: no such target.
    """
    return next(iter(TARGETS[TARGETS.name_of(target)].formats))


@by_fields(PortRequest)
def port(request: PortRequest, observer: Observer | None = None) -> PortOutcome:
    """Take a model to a device and return the verdict; stages that a run before this one finished stay as they are.

    A stage that failed or was not judged ends the road. A compiler that is not installed leaves its stage skipped and
    the road open: the bundle then carries the exact command.

    Raises:
        PortError: a stage could not be done or judged at all. A folder that nothing came into is gone again.
    """
    observer = observer or Silent()
    if request.runner is not None:
        check_startable(request.runner)
    check_ours(request.out, request.bundle)
    check_writable(request.out)
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
            if not stages:
                withdraw(request.out, request.bundle, tuple(STAGES)[1:])
            found = run(request, observer)
            seconds = round(time.perf_counter() - start, 3)
            found = replace(found, seconds=seconds, peak_bytes=memory.peak_bytes())
            ledger.enter(found)
            if name == "compile":
                ledger.amend("convert", request.models.glob("report.*"))
        else:
            observer.phase(f"{name}: done before")
        stages.append(found)
        if found.status in {Status.FAILED, Status.NOT_JUDGED}:
            break
    last, missing = stages[-1], list(STAGES)[len(stages) :]
    how = "failed" if last.status is Status.FAILED else "was not judged"
    return stages + [Stage(name=name, status=Status.SKIPPED, reason=f"{last.name} {how}") for name in missing]


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
    status, sentence = _verdict(stages, _answer(request))
    return PortOutcome(
        title=title_of(request),
        target=request.target,
        out=request.out,
        stages=tuple(stages),
        status=status,
        sentence=sentence,
        peak_bytes=max(stage.peak_bytes for stage in stages),
        choices=choices_of(request),
    )


def choices_of(request: PortRequest) -> tuple[Choice, ...]:
    """Return what a port depends on: what its models say, and what their compiler was told."""
    try:
        return manifest.read(request.models).choices
    except ArtifactError:
        return request.compile_choices


def title_of(request: PortRequest) -> str:
    """Return a name for a port that tells it from others of one table."""
    conversion = request.conversion
    form = conversion.format if conversion.dialect is None else f"{conversion.format} in {conversion.dialect}"
    return f"{conversion.component} to {request.target} ({form}, {conversion.options.precision})"


def _convert(request: PortRequest, observer: Observer) -> Stage:
    found = convert(request.converted, observer)
    report = _destined(request)
    reason = proven(report) if report else "not validated: --no-validate"
    return Stage(
        name="convert", status=found.status, reason=reason, files=_files(request, sorted(request.models.rglob("*")))
    )


def _check(request: PortRequest, _: Observer) -> Stage:
    made = manifest.read(request.models)
    compiled = computed_in(request.target, request.compile_precision, request.conversion.options.precision)
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
    tools, target = installed(request.target, request.toolchain), TARGETS[request.target]
    quantises = target.quantises
    given = _whole(request) if request.calibration is None and (target.engines or quantises) else None
    calibration = request.calibration or (AUTO if quantises and not given else None)
    found = compile_artifacts(
        CompileRequest(
            artifact=request.models,
            target=request.target,
            out=request.out / COMPILED,
            soc=request.chip,
            toolchain=request.toolchain,
            precision=request.compile_precision,
            gears=read_gears(request.gears),
            calibration=calibration,
            checkpoint=request.conversion.checkpoint if calibration == AUTO else None,
            adapter=request.conversion.adapter if calibration == AUTO else None,
            keep_float32=request.keep_float32,
            pictures_as_bytes=request.pictures_as_bytes,
            extra=request.extra,
            choices=request.compile_choices,
            inputs=given,
            samples=request.conversion.samples if given else None,
        ),
        observer,
    )
    status, ran = status_of(found), False
    reasons = list(dict.fromkeys(compilation.reason for compilation in found if compilation.status is status))
    if request.runner is not None and request.runs_compiled:
        folder, conversion = request.out / COMPILED, request.conversion
        if status is Status.PASSED:
            weights = (conversion.checkpoint, conversion.adapter)
            status, verdict = judge_compiled(found, folder, request.runner, weights, observer)
            reasons.append(verdict)
            ran = status is Status.PASSED and place_of(folder, request.runner)[1]
        elif status is Status.SKIPPED:
            reasons.append(f"{request.runner} judged nothing, because nothing was compiled")
    if status is Status.PASSED:
        _destined(request, compiled=True, ran=ran)
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
            adapter=request.conversion.adapter,
            soc=request.chip,
            precision=request.compile_precision,
            gears=read_gears(request.gears),
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


def _destined(request: PortRequest, *, compiled: bool = False, ran: bool = False) -> Report | None:
    """Say in the report on the models what they are for, and what was done for that; return it, if there is one."""
    if not (request.models / "report.json").is_file():
        return None
    report = read_report(request.models)
    if report.destination is not None:
        goal = Destination(name=device_name(request.target, request.chip or ""), compiled=compiled, ran=ran)
        report = answered(replace(report, destination=goal))
        rewrite(report, request.models)
    return report


def _answer(request: PortRequest) -> str:
    """Return what the report on the models says, which tells what was done for the device too."""
    found = (request.models / "report.json").is_file()
    return read_report(request.models).sentence if found else ""


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


def _verdict(stages: list[Stage], answer: str) -> tuple[Status, str]:
    """Return the verdict on the stages that judged something, and the cause, or else the answer of the report."""
    status = combined(stage.status for stage in stages if stage.status is not Status.SKIPPED)
    for stage in stages:
        if stage.status is status is not Status.PASSED:
            return status, f"{stage.name} {status}: {stage.reason.removeprefix('Not judged: ')}"
    skipped = [stage for stage in stages if stage.status is Status.SKIPPED]
    left = "; ".join(f"{stage.name} skipped: {stage.reason}" for stage in skipped)
    done = f"Ready to send; {left}" if skipped else "Converted, validated, checked, compiled and bundled."
    return status, f"{answer} {done}".strip()
