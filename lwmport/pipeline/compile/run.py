"""Compiling artifacts for a target: one verdict each, its record beside what the compiler made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from lwmport import atomic, owned
from lwmport.choices import Choice
from lwmport.errors import ArtifactError, UsageError
from lwmport.manifest import ComponentEntry
from lwmport.models.spec import FamilySpec
from lwmport.pipeline.compile.calibration import SAMPLES, given_samples, made_samples
from lwmport.pipeline.compile.external_model import ModelFile, read_foreign
from lwmport.pipeline.foreign_inputs import feeds_of
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.race.run import ROUNDS, run_race, told, verified
from lwmport.pipeline.reopen import Converted, find, folder_of
from lwmport.registry import load
from lwmport.reports.race.files import check_places, write
from lwmport.reports.race.record import Race
from lwmport.requests import by_fields, check_samples, check_types
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.targets.compile import record
from lwmport.targets.compile.choices import USUAL, compile_choices, computed_in
from lwmport.targets.compile.devices import check_calibration, check_options
from lwmport.targets.compile.job import CompileJob, Gear
from lwmport.targets.compile.socs import chip_of
from lwmport.targets.compile.tools import installed
from lwmport.targets.registry import TARGETS
from lwmport.targets.target import Target
from lwmport.types import Array, Compilation, Status
from lwmport.wording import few

AUTO: Final = "auto"

Feeds: TypeAlias = tuple[Mapping[str, Array], ...]
"""The inputs of several runs."""


@dataclass(frozen=True, kw_only=True)
class CompileRequest:
    """What to compile, for which target and device, how, and where it goes.

    ``artifact`` is a model file or a folder with a manifest. ``calibration`` is a folder with INPUT.npy files, each
    [samples, ...], or ``auto``: samples of the component, made anew of ``checkpoint`` and ``adapter``. ``choices`` are
    those of whoever asks, where that is somebody who chose device and precision for the user. ``inputs`` is a .npz, a
    .jsonl or a folder of pictures (`lwmport.runtime.given_inputs`), and ``samples`` how many of them: what the compiled
    model is compared on where the target runs it here, and quantised on where its compiler quantises.

    ``fastest`` is whether the ways in which the target may run a model here are raced, in so many ``rounds``, and the
    fastest one is compiled that keeps the bound: the tolerance of ``precision``, by default float32, or ``lossy``, the
    least signal-to-noise ratio in decibels.
    """

    artifact: Path
    target: str
    out: Path | None = None
    soc: str | None = None
    precision: str | None = None
    toolchain: Path | None = None
    calibration: str | None = None
    checkpoint: str | None = None
    gears: tuple[Gear, ...] = ()
    keep_float32: tuple[str, ...] = ()
    pictures_as_bytes: bool = False
    extra: tuple[str, ...] = ()
    run: bool = True
    choices: tuple[Choice, ...] = ()
    inputs: Path | None = None
    samples: int | None = None
    adapter: Path | None = None
    fastest: bool = False
    lossy: float | None = None
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        """Refuse types that no field has, and give everything that has a name its one name."""
        check_types(self)
        settle(self)
        check_samples(self.samples)
        if self.samples is not None and self.inputs is None:
            raise UsageError("expected --samples beside --inputs, found it alone; leave it out")
        if self.inputs is not None and self.calibration:
            raise UsageError("expected --inputs or --calibration, found both; either holds the samples")
        self._check_race()

    def _check_race(self) -> None:
        """Refuse what has no meaning with a race, or without one."""
        if not self.fastest:
            for name, usual in (("lossy", None), ("rounds", ROUNDS)):
                if getattr(self, name) != usual:
                    raise UsageError(f"expected --{name} with --fastest, found it alone; leave it out")
            return
        for name, value in (("soc", self.soc), ("calibration", self.calibration), ("dry-run", not self.run)):
            if value:
                raise UsageError(
                    f"expected no --{name} with --fastest, which races all of them, found it; leave it out"
                )
        if self.rounds < 1:
            raise UsageError(f"expected at least 1 as --rounds, found {self.rounds}")
        if self.lossy is not None and (math.isnan(self.lossy) or self.lossy < 0):
            raise UsageError(f"expected --lossy as decibels of 0 or more, found {self.lossy:g}")
        if self.lossy is not None and self.precision is not None:
            raise UsageError("expected --lossy or --compile-precision with --fastest, found both; leave one out")

    @property
    def folder(self) -> Path:
        """The folder for results: beside the artifact, named after the target, unless one is given."""
        return self.out or folder_of(self.artifact) / self.target


@dataclass(frozen=True, kw_only=True)
class CompileOutcome:
    """What a vendor's compiler made of each artifact, the races that chose how, and the folder that holds it."""

    out: Path
    compilations: tuple[Compilation, ...]
    races: tuple[Race, ...] = ()

    @property
    def status(self) -> Status:
        """Failed if one failed, skipped if one was skipped, else passed."""
        return status_of(self.compilations)


@by_fields(CompileRequest)
def compile_models(request: CompileRequest, observer: Observer | None = None) -> CompileOutcome:
    """Compile a model file, or every model of a folder, for a target.

    Where the vendor's tool is not installed, the status is skipped, and the commands to run are in the outcome.


    Raises:
        PortError: as `compile_artifacts` does.
    """
    races: list[Race] = []
    made = compile_artifacts(request, observer, races)
    return CompileOutcome(out=request.folder, compilations=made, races=tuple(races))


def compile_artifacts(
    request: CompileRequest, observer: Observer | None = None, races: list[Race] | None = None
) -> tuple[Compilation, ...]:
    """Compile each artifact that the request names and return the verdicts; races are added to ``races``.

    Raises:
        UsageError: target, device, precision or options are unknown or do not go together, a node that is named is
            in none of the models, or the toolchain that is named is none.
        ArtifactError: there is no such artifact, or it is not the file that was converted.
    """
    observer = observer or Silent()
    target = TARGETS[request.target]
    _check(request, target)
    check_writable(request.folder)
    if request.run and request.toolchain is not None:
        installed(request.target, request.toolchain)
    found_models = find(request.artifact, request.checkpoint, request.adapter)
    model_precision = found_models.precision if found_models else USUAL
    jobs = _jobs(request, found_models, observer)
    if target.prepare:
        jobs = load(target.prepare)(jobs)
    found = []
    for job in jobs:
        observer.phase(f"{job.path.name}: compile for {request.target}")
        finish = partial(_told, request=request, form=job.format, model=model_precision)
        if request.fastest:
            made, race = _fastest(request, target, job, found_models, finish, observer)
            (races if races is not None else []).append(race)
        else:
            made = finish(target.compile_artifact(replace(job, finish=finish), request.folder))
            _write(made, request.folder)
        found.append(made)
    return tuple(found)


def _check(request: CompileRequest, target: Target) -> None:
    """Refuse options that a target has no use for, and a device that it has not."""
    if request.calibration:
        check_calibration(request.target)
    for name in ("checkpoint", "adapter"):
        if getattr(request, name) and request.calibration != AUTO and not request.fastest:
            raise UsageError(f"expected --{name} with --calibration {AUTO}, found it without; leave it out")
    if request.fastest and not target.contenders:
        takers = " or ".join(sorted(one.name for one in TARGETS.values() if one.contenders))
        raise UsageError(f"expected --fastest with the target {takers}, found {target.name}; leave it out")
    names = ("extra", "keep_float32", "pictures_as_bytes", "toolchain")
    check_options(request.target, {name: getattr(request, name) for name in names})
    if request.inputs and not (target.engines or target.quantises):
        raise UsageError(
            f"expected --inputs with a target that runs or quantises the model here, found {target.name}; leave it out"
        )
    if target.chips and request.soc not in target.devices and (request.soc or target.asks_chip):
        chip_of(target, request.soc, request.precision or target.precision)


def _fastest(
    request: CompileRequest,
    target: Target,
    job: CompileJob,
    found: Converted | None,
    finish: record.Done,
    observer: Observer,
) -> tuple[Compilation, Race]:
    """Race the ways to run a model, compile it for the winner, open that again, and write all of it down."""
    check_places(request.folder, job.name)
    usual = replace(request, precision=None)
    raced = run_race(target, job, found, partial(_sibling, usual), request, observer)
    if raced.job is None:
        made = Compilation(
            component=job.name,
            artifact=job.path.name,
            target=target.name,
            tool="none",
            status=Status.FAILED,
            reason=raced.race.sentence,
            folder=folder_of(job.path).name,
            commands=(),
        )
        write(raced.race, request.folder)
        return made, raced.race
    chosen = raced.job
    observer.phase(f"{chosen.path.name}: write it for {raced.race.winner}")

    def done(made: Compilation) -> Compilation:
        choices = (
            Choice("compile precision", chosen.precision, "--fastest"),
            Choice("runtime", str(chosen.soc), "--fastest"),
        )
        return told(raced, replace(finish(made), choices=choices))

    made = done(target.compile_artifact(replace(chosen, finish=done), request.folder))
    race, made = verified(raced, made, request.folder, observer)
    _write(made, request.folder)
    write(race, request.folder)
    return made, race


def _sibling(request: CompileRequest, found: Converted, part: ComponentEntry) -> CompileJob:
    return _own(request, found, part, Silent())


def status_of(compilations: tuple[Compilation, ...]) -> Status:
    """Return the verdict on all: failed if one failed, skipped if one was skipped, else passed."""
    found = {compilation.status for compilation in compilations}
    return next(status for status in (Status.FAILED, Status.SKIPPED, Status.PASSED) if status in found)


def _write(made: Compilation, folder: Path) -> None:
    """Write the record of a compilation, unless the target has: what others' targets write is not one set with it."""
    path = folder / record.name_of(made.component)
    if owned.json_record(path) is None or path.read_bytes() != record.text(made):
        with atomic.new_file(path) as file:
            file.write(record.text(made))


def _told(made: Compilation, request: CompileRequest, form: str, model: str) -> Compilation:
    """Return a compilation with its choices, and what it computes in: what the model is in, if that is kept."""
    choices = request.choices or compile_choices(request.target, form, request.soc, request.precision, model)
    details = made.details
    if model != USUAL and details.get("precision") == USUAL and not TARGETS[request.target].engines:
        details = {**details, "precision": computed_in(request.target, request.precision, model)}
    return replace(made, choices=choices, details=details)


def _jobs(request: CompileRequest, found: Converted | None, observer: Observer) -> list[CompileJob]:
    if found is None:
        return [_foreign(request)]
    observer.phase(f"{few(part.name for part in found.parts)}: digests of their files")
    changed = found.changed_files()
    if changed:
        raise ArtifactError(
            f"expected {found.folder / changed[0]} as it was converted, found none or another digest; convert again"
        )
    return [_own(request, found, part, observer) for part in found.parts]


def _own(request: CompileRequest, found: Converted, part: ComponentEntry, observer: Observer) -> CompileJob:
    calibration: Mapping[str, Array] | None = None
    if request.calibration == AUTO:
        observer.phase(f"{part.name}: make {SAMPLES} samples to quantise with")
        calibration = made_samples(found, part, next(iter(request.gears), {}))
    elif request.calibration:
        calibration = given_samples(Path(request.calibration), part.signature)
    model = ModelFile(
        path=found.path(part),
        name=part.name,
        format=found.manifest.artifact_format,
        signature=part.signature,
        operators=part.operators,
        preprocessing=part.preprocessing,
    )
    feeds = _feeds(request, model, found.family.spec) if request.inputs else ()
    return _job(request, model, calibration or _stacked(request, feeds), feeds)


def _foreign(request: CompileRequest) -> CompileJob:
    """Return the job for a model that is not ours."""
    model = read_foreign(request.artifact, public_names=TARGETS[request.target].public_names)
    names = [f"{spec.name}.npy" for spec in model.signature.inputs]
    if request.calibration == AUTO:
        raise UsageError(
            f"expected --calibration DIR with {few(names)} for {request.artifact}, which no manifest describes, "
            f"found {AUTO}, which makes samples for models of lwmport's own"
        )
    feeds = _feeds(request, model, None) if request.inputs else ()
    samples = given_samples(Path(request.calibration), model.signature) if request.calibration else None
    return _job(request, model, samples or _stacked(request, feeds), feeds)


def _feeds(request: CompileRequest, model: ModelFile, family: FamilySpec | None) -> Feeds:
    """Return the user's inputs of each run.

    Raises:
        UsageError: the model does not take them.
    """
    gear = next(iter(request.gears), {})
    specs = (
        replace(spec, shape=tuple(gear.get(str(dim), dim) for dim in spec.shape)) for spec in model.signature.inputs
    )
    return feeds_of(GivenInputs(Path(str(request.inputs))), tuple(specs), family, request.samples)


def _stacked(request: CompileRequest, feeds: Feeds) -> dict[str, Array] | None:
    """Return the user's inputs as samples to quantise on, where the target's compiler quantises."""
    if not feeds or not TARGETS[request.target].quantises:
        return None
    if len({tuple(array.shape for array in feed.values()) for feed in feeds}) > 1:
        raise UsageError(f"expected samples of one shape in {request.inputs} to quantise on, found several")
    return {name: np.stack([feed[name] for feed in feeds]) for name in feeds[0]}


def _job(
    request: CompileRequest, model: ModelFile, calibration: Mapping[str, Array] | None, feeds: Feeds
) -> CompileJob:
    return CompileJob(
        path=model.path,
        name=model.name,
        format=model.format,
        signature=model.signature,
        operators=model.operators,
        public=model.public,
        own=model.own,
        quantised=model.quantised,
        soc=request.soc,
        precision=request.precision or TARGETS[request.target].precision,
        gears=request.gears,
        calibration=calibration,
        given=feeds,
        scales=model.scales,
        keep_float32=request.keep_float32,
        pictures_as_bytes=request.pictures_as_bytes,
        preprocessing=model.preprocessing,
        extra=request.extra,
        toolchain=request.toolchain,
        run=request.run,
    )
