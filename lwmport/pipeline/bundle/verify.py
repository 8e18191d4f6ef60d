"""A bundle put to the test: every byte against its digest, and the models against the golden outputs.

Nothing inside is executed but the models, and those only by runtimes that read and write no files at their bidding.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport import digest, manifest, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.handoff import names, record
from lwmport.handoff.arrays import array_of
from lwmport.handoff.opening import Archive
from lwmport.handoff.record import ArrayFile, Bundle, ComponentSpec, Sample, Spec
from lwmport.manifest import Manifest
from lwmport.pipeline.bundle.replay import LARGEST_ARRAY, How, broadcasts, replay
from lwmport.pipeline.bundle.results import SUFFIX, Results, judge_results
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.reports.record import Report
from lwmport.requests import by_fields, check_types
from lwmport.runtime.registry import check_startable
from lwmport.types import Status, Validation
from lwmport.verdicts import combined

MANIFEST: Final = f"models/{manifest.NAME}"
LARGEST_JSON: Final = 64 << 20


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """Which bundle; its SHA-256, if it was told by whoever made it; whether its models are run, and by which runner.

    ``runner`` is a key of `lwmport.runtime.registry.RUNNERS`, or another package's; by default the usual one of each
    model. ``results`` is a folder of outputs that came back from a device, which are then judged in place of a run
    here: ``device`` is its name, by default that of the bundle's target, ``precision`` what its models were compiled to
    compute in, by default that of the models, and ``out`` the folder of the report, by default one beside the bundle.
    """

    path: Path
    sha256: str | None = None
    run: bool = True
    runner: str | None = None
    results: Path | None = None
    device: str | None = None
    precision: str | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has and options that would change nothing; settle names."""
        check_types(self)
        settle(self)
        beside = [name for name in ("device", "precision", "out") if getattr(self, name) is not None]
        if self.results is None and beside:
            raise UsageError(f"expected --results beside --{beside[0]}, found none; add it, or leave --{beside[0]} out")
        if self.results is not None and self.runner is not None:
            raise UsageError("expected --results or --runner, found both: what came back is judged as it is")

    @property
    def returned(self) -> Results | None:
        """What came back from a device, if that is to be judged."""
        if self.results is None:
            return None
        beside = self.path.with_name(f"{self.path.stem}{SUFFIX}")
        return Results(folder=self.results, out=self.out or beside, device=self.device, precision=self.precision)


@dataclass(frozen=True, kw_only=True)
class VerifyOutcome:
    """The verdict: what is wrong with files, and how each model did; where a report was written, if one was."""

    path: Path
    status: Status
    sentence: str
    bundle: Bundle | None
    failures: tuple[str, ...]
    validations: tuple[Validation, ...] = ()
    report: Path | None = None


@by_fields(VerifyRequest)
def verify(request: VerifyRequest, observer: Observer | None = None) -> VerifyOutcome:
    """Check a bundle's structure and digests and, if they are right, run its models on the golden samples.

    Raises:
        ArtifactError: it is no bundle, or one that could do harm; nothing was unpacked then.
        UsageError: the digest that was told is none, or the runner is unknown, does not take the models, or is to run
            none.
        RunnerError: the runner cannot start here.
    """
    observer = observer or Silent()
    if request.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", request.sha256):
        raise UsageError(f"expected the 64 hexadecimal digits that 'lwmport bundle' printed, found {request.sha256!r}")
    _check_runner(request)
    with Archive(request.path) as archive:
        failures, bundle = _check_files(request, archive, observer)
        if failures or bundle is None:
            return _outcome(request, bundle, tuple(failures), ())
        spec = record.read_spec(archive.read(record.SPEC_NAME, LARGEST_JSON), record.SPEC_NAME)
        made = _manifest(archive)
        failures = _check_records(archive, bundle, made, spec)
        returned = request.returned
        if returned is not None and not failures:
            observer.phase(f"judge the outputs in {returned.folder}")
            report = judge_results(archive, made, spec, returned)
            return _returned(request, bundle, report, returned.out)
        how = How(runner=request.runner, trusted=request.sha256 is not None)
        validations: tuple[Validation, ...] = ()
        if request.run and not failures:
            validations = tuple(replay(archive, made, part, how, observer) for part in spec.components)
    return _outcome(request, bundle, tuple(failures), validations)


def _check_runner(request: VerifyRequest) -> None:
    if request.runner is None:
        return
    if not request.run:
        raise UsageError(f"expected --run beside --runner {request.runner}, found --no-run; leave one of them out")
    check_startable(request.runner)


def _returned(request: VerifyRequest, bundle: Bundle, report: Report, out: Path) -> VerifyOutcome:
    """Return the verdict on what came back, which is that of the report on both."""
    return VerifyOutcome(
        path=request.path,
        status=report.status,
        sentence=report.sentence,
        bundle=bundle,
        failures=(),
        validations=tuple(part.validation for part in report.components if part.on_device),
        report=out / "report.html",
    )


def _outcome(
    request: VerifyRequest, bundle: Bundle | None, failures: tuple[str, ...], validations: tuple[Validation, ...]
) -> VerifyOutcome:
    failed = [found for found in validations if found.status is Status.FAILED]
    left = [found for found in validations if found.status is Status.NOT_JUDGED]
    status = Status.FAILED if failures else combined([Status.PASSED, *(found.status for found in validations)])
    if failures:
        sentence = f"The bundle is not as it was made: {failures[0]}" + (
            f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        )
    elif failed:
        sentence = f"The files are as they were made; {', '.join(found.component for found in failed)} failed."
    elif left:
        causes = "; ".join(f"{found.component}: {found.reason}" for found in left)
        sentence = f"Not judged: {causes}. The files are as they were made."
    else:
        ran = "every model agrees with the golden outputs" if validations else "no model was run"
        sentence = f"The files are as they were made; {ran}."
    return VerifyOutcome(
        path=request.path, status=status, sentence=sentence, bundle=bundle, failures=failures, validations=validations
    )


def _check_files(request: VerifyRequest, archive: Archive, observer: Observer) -> tuple[list[str], Bundle | None]:
    """Return what is wrong with the zip and the digests of its files, and the record if it is whole."""
    failures = list(archive.deviations)
    if request.sha256 is not None:
        observer.phase(f"digest of {request.path}")
        found = digest.of_file(request.path)
        if found != request.sha256.lower():
            failures.append(f"{request.path.name}: expected the SHA-256 {request.sha256}, found {found}")
    if record.NAME not in archive.entries:
        raise ArtifactError(f"expected {record.NAME} in {request.path}, found none; give a bundle that lwmport made")
    try:
        bundle = record.unseal(archive.read(record.NAME, LARGEST_JSON), record.NAME)
    except ArtifactError as error:
        return [*failures, str(error)], None
    observer.phase(f"digests of {len(bundle.files)} files")
    return [*failures, *_wrong_files(archive, bundle, observer)], bundle


def _wrong_files(archive: Archive, bundle: Bundle, observer: Observer) -> Iterator[str]:
    promised = {file.name: file for file in bundle.files}
    for name in sorted({*promised, record.NAME} ^ set(archive.entries)):
        yield f"{name}: missing" if name in promised else f"{name}: not named in {record.NAME}"
    if list(archive.entries) != [*(file.name for file in bundle.files), record.NAME]:
        yield "the order of the files is not that in which they were written"
    total, done = sum(file.bytes for file in bundle.files), 0
    for name, file in promised.items():
        if name not in archive.entries:
            continue
        crc, state = 0, hashlib.sha256()
        for piece in archive.pieces(name):
            crc, done = zlib.crc32(piece, crc), done + len(piece)
            state.update(piece)
            observer.progress(name, done, total)
        if state.hexdigest() != file.sha256 or archive.entries[name].size != file.bytes:
            yield f"{name}: changed, its SHA-256 differs"
        elif crc != archive.entries[name].crc:
            yield f"{name}: the checksum in its header differs"
    last = archive.entries[record.NAME]
    if zlib.crc32(archive.read(record.NAME, LARGEST_JSON)) != last.crc:
        yield f"{record.NAME}: the checksum in its header differs"


def _manifest(archive: Archive) -> Manifest:
    if MANIFEST not in archive.entries:
        raise ArtifactError(f"expected {MANIFEST} in {archive.path}, found none")
    return plain.decode(Manifest, record.parse(archive.read(MANIFEST, LARGEST_JSON), MANIFEST), MANIFEST)


def _check_records(archive: Archive, bundle: Bundle, made: Manifest, spec: Spec) -> list[str]:
    """Return where the records inside contradict each other or the files."""
    digests = {file.name: file.sha256 for file in bundle.files}
    failures = [
        f"models/{file.name}: not the file that {MANIFEST} names"
        for part in made.components
        for file in part.files
        if digests.get(f"models/{file.name}") != file.sha256
    ]
    if digests[MANIFEST] != bundle.manifest_sha256:
        failures.append(f"{MANIFEST}: not the one that {record.NAME} names")
    parts = {part.name: part for part in made.components}
    for part in spec.components:
        own = parts.get(part.name)
        names.check(part.model)
        if own is None or part.model != f"models/{own.path}":
            failures.append(f"{record.SPEC_NAME}: {part.name} is not in {MANIFEST}")
        elif (part.inputs, part.outputs) != (own.signature.inputs, own.signature.outputs):
            failures.append(f"{record.SPEC_NAME}: the signature of {part.name} is not that of {MANIFEST}")
    failures += [reason for part in spec.components for reason in _wrong_codes(part)]
    samples = [sample for part in spec.components for sample in part.samples]
    failures += [reason for sample in samples for reason in _wrong_masks(sample)]
    arrays = [file for sample in samples for file in _files(sample)]
    arrays += [codes.codebook for part in spec.components for codes in part.codes.values()]
    return [*failures, *(reason for file in arrays for reason in _wrong_array(archive, file))]


def _wrong_masks(sample: Sample) -> Iterator[str]:
    """Yield which masks of a sample belong to no output of it, or do not broadcast to its shape."""
    for name, mask in sample.relevant.items():
        output = sample.outputs.get(name)
        if output is None:
            yield f"{mask.npy}: expected an output {name} for it in {record.SPEC_NAME}, found none"
        elif not broadcasts(mask.shape, output.shape):
            yield f"{mask.npy}: expected a shape that broadcasts to {list(output.shape)}, found {list(mask.shape)}"


def _wrong_codes(part: ComponentSpec) -> Iterator[str]:
    """Yield which codebooks do not fit the indices, the states and the vectors of every sample."""
    for name, codes in part.codes.items():
        shape = codes.codebook.shape
        for sample in part.samples:
            files = sample.outputs.get(name), sample.outputs.get(codes.states), sample.vectors.get(name)
            indices, states, vectors = (() if file is None else file.shape for file in files)
            if len(shape) != 2 or not shape[0] or not states == vectors == (*indices, shape[1]):
                yield f"{codes.codebook.npy}: expected the codes that {name} and {codes.states} of {sample.name} fit"


def _files(sample: Sample) -> Iterator[ArrayFile]:
    for group in (sample.inputs, sample.outputs, sample.relevant, sample.vectors):
        yield from group.values()


def _wrong_array(archive: Archive, file: ArrayFile) -> Iterator[str]:
    """Yield why an array is not the one that its record tells."""
    if file.npy not in archive.entries:
        yield f"{file.npy}: missing"
        return
    try:
        array_of(archive.read(file.npy, LARGEST_ARRAY), file)
    except ArtifactError as error:
        yield str(error)
