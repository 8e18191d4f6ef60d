"""From a folder that `convert` wrote to the zip that a vendor's engineer starts from."""

import hashlib
import inspect
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Final

import lwmport
from lwmport import atomic, digest, manifest
from lwmport.choices import Choice, is_random, lines
from lwmport.errors import ArtifactError, PortError, UsageError
from lwmport.handoff import record, standalone, texts
from lwmport.handoff.packing import pack
from lwmport.handoff.processing import processing_of
from lwmport.handoff.record import Bundle, Calibration, Codes, ComponentSpec, Spec
from lwmport.handoff.staging import Staging
from lwmport.manifest import ComponentEntry, FileEntry, Manifest
from lwmport.models.families import Family
from lwmport.models.storage import judged_in, stored_as
from lwmport.pipeline.bundle.bundle_targets import (
    MODELS,
    Device,
    check_files,
    compile_files,
    device_for,
    own_paths,
    runtime_of,
)
from lwmport.pipeline.bundle.foreign import Ready, is_foreign, open_foreign, stage_foreign
from lwmport.pipeline.bundle.samples import Golden, Samples, calibration_of, joined, observed, sample_of, take
from lwmport.pipeline.destination import device_name, is_here
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_apart, check_free, check_writable
from lwmport.pipeline.reopen import Converted, reopen
from lwmport.pipeline.validate.reference_runs import check_given, trial_batch
from lwmport.pipeline.validate.test_inputs import Sampling, sampling_for
from lwmport.reports.answer import answered
from lwmport.reports.files import pictures_in, read_report, write_report
from lwmport.reports.record import Destination, Report
from lwmport.requests import by_fields, check_types
from lwmport.targets.compile.choices import compile_choices
from lwmport.targets.compile.job import Gear
from lwmport.targets.registry import TARGETS
from lwmport.types import Preflight, Status, TensorSpec, Tolerance, Tolerances
from lwmport.validators.tolerances import DEFAULTS, tolerance_for

MOST_READ: Final = 1 << 20
"""Bytes of a zip's record in which its format is looked for."""

PRECISIONS: Final = tuple(name for name in DEFAULTS if name != "float64")


SAMPLES: Final = 3
"""Golden samples of each component where nobody says how many."""


@dataclass(frozen=True, kw_only=True)
class BundleRequest:
    """What to hand over, for whom, and where to put it.

    ``folder`` is one that `convert` wrote, or a model file of anybody's (`lwmport.pipeline.bundle.foreign`).
    ``samples`` golden runs (`SAMPLES` by default) and ``calibration`` inputs of each component come from ``inputs``
    (`lwmport.runtime.given_inputs`) or are our own. ``soc``, ``precision`` and ``gears`` (sizes of dynamic dimensions)
    are the compiler's. ``checkpoint`` and ``adapter`` are what was converted.
    """

    folder: Path
    target: str
    out: Path
    checkpoint: str | None = None
    samples: int | None = None
    calibration: int = 8
    soc: str | None = None
    precision: str | None = None
    gears: tuple[Gear, ...] = ()
    inputs: Path | None = None
    adapter: Path | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has, and give everything that has a name its one name."""
        check_types(self)
        settle(self)

    @property
    def golden(self) -> int:
        """How many golden samples there are at most."""
        return SAMPLES if self.samples is None else self.samples


@dataclass(frozen=True, kw_only=True)
class BundleOutcome:
    """What was written: the zip with its digest, the record inside, the commands that compile the models.

    ``preflights`` are what the target's rules say about each; the status is failed where they find an error.
    """

    out: Path
    bytes: int
    sha256: str
    bundle: Bundle
    commands: Mapping[str, tuple[str, ...]]
    preflights: tuple[Preflight, ...]

    @property
    def status(self) -> Status:
        """Whether the target's rules take the models."""
        failed = any(found.status is Status.FAILED for found in self.preflights)
        return Status.FAILED if failed else Status.PASSED


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One bundle under way."""

    request: BundleRequest
    found: Converted
    staging: Staging
    observer: Observer
    report: Report

    @property
    def made(self) -> Manifest:
        """The manifest of the folder."""
        return self.found.manifest

    @cached_property
    def sampling(self) -> Sampling:
        """What the golden samples are made of."""
        request = self.request
        return sampling_for(request.inputs, None, request.checkpoint, self.found.family.references)


@by_fields(BundleRequest)
def bundle(request: BundleRequest, observer: Observer | None = None) -> BundleOutcome:
    """Write the bundle of a folder that `convert` wrote and validated, or of a model file that is not ours.

    Raises:
        ArtifactError: the folder has no passed report, its files are not those that were converted, or its manifest
            names a component that the model does not have.
        CheckpointError: the weights that were converted are needed and not given.
        UsageError: an unknown target, no golden samples, options that its compiler does not take, or an ``out`` that
            is one of the files that go into it.
    """
    observer = observer or Silent()
    TARGETS.require(request.target)
    if request.golden < 1 or request.calibration < 0:
        raise UsageError(f"expected at least 1 golden sample and 0 for calibration, found {request.golden} and "
                         f"{request.calibration}")  # fmt: skip
    device = device_for(request.target, request.soc, request.precision, request.gears)
    check_writable(request.out.parent)
    if is_foreign(request.folder):
        foreign = open_foreign(request.folder, device, (request.inputs, request.golden, request.calibration))
        check_free(request.out, is_bundle)
        check_apart(request.out, *foreign.paths, *((request.inputs,) if request.inputs else ()))
        own = None
    else:
        found = reopen(request.folder, request.checkpoint, request.adapter)
        _check_validated(found, request.folder)
        _check_apart(request, found.manifest)
        found.weights  # noqa: B018 - opened and checked before anything is written
        own = found
    with atomic.scratch_folder(request.out) as scratch:
        staging = Staging(folder=scratch)
        if own is None:
            ready = stage_foreign(foreign, device, staging, observer)
            _put_texts(staging, ready.spec, None, foreign.notice)
            staging.put(f"{MODELS}/{manifest.NAME}", ready.manifest_bytes)
            return _pack(request, ready, staging, observer)
        report = _destined(read_report(request.folder), request)
        work = _Work(request=request, found=own, staging=staging, observer=observer, report=report)
        check_given(work.found, work.sampling)
        return _pack(request, _stage(work, device), staging, observer)


def _check_validated(found: Converted, folder: Path) -> None:
    """Refuse a single artifact, and a folder whose artifacts did not pass."""
    made = found.manifest
    if found.folder != folder:
        raise ArtifactError(f"expected a folder that 'lwmport convert' wrote, found {folder}; name {found.folder}")
    if made.verdict != "passed":
        raise ArtifactError(
            f"expected artifacts that passed in {folder}, found them {made.verdict}; "
            "convert without --no-validate, and mend what fails"
        )
    report = read_report(folder)
    judged = {part.validation.component for part in report.components}
    missing = [part.name for part in made.components if part.name not in judged]
    if missing or report.status != "passed":
        raise ArtifactError(f"expected a passed report on {', '.join(missing) or 'all components'} in {folder}")


def is_bundle(path: Path) -> bool:
    """Return whether a file is a bundle of ours; no more of it is read than its record."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(record.NAME) as file:
            return f'"{record.FORMAT}"'.encode() in file.read(MOST_READ)
    except (OSError, KeyError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return False


def _destined(report: Report, request: BundleRequest) -> Report:
    """Return a report that says for which device the bundle is; what was compiled for that one is kept."""
    name = device_name(request.target, request.soc or "")
    goal = report.destination
    if is_here(request.target):
        return answered(replace(report, destination=None))
    return report if goal and goal.name == name else answered(replace(report, destination=Destination(name=name)))


def _check_apart(request: BundleRequest, made: Manifest) -> None:
    """Refuse an ``out`` that is a file of the folder, unless that is an earlier bundle, or the checkpoint."""
    files = [request.folder / file.name for part in made.components for file in part.files]
    others = [request.folder, *([Path(request.checkpoint.rpartition("::")[2])] if request.checkpoint else [])]
    again = is_bundle(request.out)
    check_apart(request.out, *files, *(path for path in others if not (again and path.is_dir())))
    check_free(request.out, is_bundle)


def _stage(work: _Work, device: Device) -> Ready:
    """Gather everything that goes into the zip but its own record."""
    request, staging, made = work.request, work.staging, work.made
    (staging.folder / MODELS).symlink_to(request.folder.absolute(), target_is_directory=True)
    _put_given(work)
    specs: list[ComponentSpec] = []
    commands: dict[str, tuple[str, ...]] = {}
    preflights: list[Preflight | None] = []
    shown: dict[str, str] = {}
    for part in made.components:
        work.observer.phase(f"{part.name}: rules of {request.target}")
        preflights.append(check_files(staging, device, part, made.artifact_format, request.folder))
        spec, samples = _component(work, part)
        for name, credit in samples.credits:
            shown.setdefault(credit, name)
        work.observer.phase(f"{part.name}: compiler of {request.target}")
        with own_paths(staging, request.folder):
            commands[part.name] = compile_files(staging, device, part, made.artifact_format, joined(samples))
        specs.append(replace(spec, calibration=calibration_of(staging, part.name, samples.calibration)))
    whole = Spec(
        format=record.SPEC_FORMAT,
        target=request.target,
        reference=_reference(work.found.family),
        weights=f"{made.weights['description']}, sha256 {made.weights_sha256}",
        components=tuple(specs),
    )
    runtime = runtime_of(device, made.artifact_format)
    credits_ = {name: credit for credit, name in shown.items()}
    seeded = is_random(made.weights)
    notice = texts.notice(whole, work.found.family.spec, credits_, lwmport.__version__, seeded=seeded)
    _put_texts(staging, whole, runtime, notice, lines(_choices(work)), work.report.sentence)
    return Ready(
        root=request.folder,
        manifest=made,
        manifest_bytes=(request.folder / manifest.NAME).read_bytes(),
        spec=whole,
        commands=commands,
        preflights=tuple(found for found in preflights if found is not None),
    )


def _reference(family: Family) -> str:
    """Return what made the golden outputs; a report of the same folder says what rounded weights cost."""
    stored = stored_as(family.options)
    return f"JAX, float32, on a CPU{f', weights rounded to {stored}' if stored else ''}"


def _put_given(work: _Work) -> None:
    """Take the models and their manifest as they lie in the folder, and their report, for the device of the bundle."""
    folder, staging = work.request.folder, work.staging
    for name in (manifest.NAME, *(file.name for part in work.made.components for file in part.files)):
        staging.put(f"models/{name}", folder / name)
    place = staging.folder / "report"
    place.mkdir()
    write_report(work.report, place, pictures_in(work.report, folder))
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        staging.put(path.relative_to(staging.folder).as_posix(), path)


def _put_texts(
    staging: Staging, spec: Spec, runtime: str | None, notice: str, choices: tuple[str, ...] = (), answer: str = ""
) -> None:
    scripts = tuple(name for name in staging.contents if name.startswith("compile/") and name.endswith(".sh"))
    staging.put_json(record.SPEC_NAME, spec)
    staging.put("spec.md", texts.markdown(spec).encode())
    for name, text in texts.readmes(spec, scripts, runtime, choices, answer).items():
        staging.put(name, text.encode())
    staging.put("NOTICE.txt", notice.encode())
    staging.put("LICENSE", _license())
    staging.put(record.CHECKER, inspect.getsource(standalone).encode())


def _choices(work: _Work) -> tuple[Choice, ...]:
    """Return what the models depend on, and what their compiler is told, as far as their manifest does not say it."""
    request, made = work.request, work.made
    compiled = compile_choices(
        request.target, made.artifact_format, request.soc, request.precision, work.found.precision
    )
    told = {choice.name for choice in made.choices}
    return (*made.choices, *(choice for choice in compiled if choice.name not in told))


def _license() -> bytes:
    """Return the text of this package's license, which its installation holds."""
    text = metadata.distribution("lwmport").read_text("licenses/LICENSE")
    beside = Path(lwmport.__file__).parents[1] / "LICENSE"
    if text is None and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    if text is None:
        raise PortError(
            "expected LICENSE in the installation of lwmport, found none; run: pip install --force-reinstall ."
        )
    return text.encode()


def _component(work: _Work, part: ComponentEntry) -> tuple[ComponentSpec, Samples]:
    """Return the specification of one component, and the samples that are in it."""
    component, weights = work.found.component(part.name), work.found.component_weights(part.name)
    counts = (work.request.golden, work.request.calibration)
    batch, sampling = trial_batch(part.signature), work.sampling.of(part.signature.inputs[0].shape[0])
    samples = take(component, weights, part.signature, batch, counts, work.observer, sampling=sampling)
    staging, judged, rows = work.staging, judged_in(work.found.family.options), work.found.family.spec.tolerances
    spec = ComponentSpec(
        name=part.name,
        model=f"models/{part.path}",
        format=work.made.artifact_format,
        precision=judged,
        inputs=part.signature.inputs,
        outputs=part.signature.outputs,
        processing=processing_of(part.signature, work.found.family.spec),
        observed=observed(samples.golden),
        tolerances={spec.name: _tolerances(rows, spec, judged) for spec in part.signature.outputs},
        codes=_codes(staging, part.name, samples.golden[0]),
        samples=tuple(sample_of(staging, part.name, number, golden) for number, golden in enumerate(samples.golden)),
        calibration=Calibration(count=0, stacked={}),
    )
    return spec, samples


def _codes(staging: Staging, component: str, golden: Golden) -> dict[str, Codes]:
    """Return the codebooks, which are the same in every run."""
    return {
        name: Codes(states=one.states, codebook=staging.array(f"golden/{component}/codebooks/{name}", one.codebook))
        for name, one in golden.quantized.items()
    }


def _tolerances(rows: Tolerances, spec: TensorSpec, judged: str) -> dict[str, Tolerance]:
    """Return the tolerance of an output in each precision that a compiler may have, and in the model's own."""
    return {precision: tolerance_for(rows, spec, precision) for precision in dict.fromkeys((*PRECISIONS, judged))}


def _pack(request: BundleRequest, ready: Ready, staging: Staging, observer: Observer) -> BundleOutcome:
    """Write the zip, and check on the way that the models are those of the manifest."""
    made = Bundle(
        format=record.FORMAT,
        lwmport=lwmport.__version__,
        target=request.target,
        manifest_sha256=hashlib.sha256(ready.manifest_bytes).hexdigest(),
        files=(),
    )
    promised = {f"models/{file.name}": file for part in ready.manifest.components for file in part.files}

    def seal(files: tuple[FileEntry, ...]) -> bytes:
        for file in files:
            expected = promised.get(file.name)
            if expected and (expected.bytes, expected.sha256) != (file.bytes, file.sha256):
                where = ready.root / expected.name
                raise ArtifactError(f"expected {where} as it was converted, found another digest; convert again")
        return record.seal(replace(made, files=files))

    observer.phase(f"write {request.out}")
    with atomic.new_file(request.out) as file:
        files = pack(file, staging.contents, (record.NAME, seal), observer.progress)
    observer.phase(f"digest of {request.out}")
    return BundleOutcome(
        out=request.out,
        bytes=request.out.stat().st_size,
        sha256=digest.of_file(request.out),
        bundle=replace(made, files=files[:-1]),
        commands=ready.commands,
        preflights=ready.preflights,
    )
