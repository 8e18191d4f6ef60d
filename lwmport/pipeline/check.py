"""Model files, ours or not, against a target's rules; and a mended copy of one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError, UsageError
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.own_inputs import OwnInputs
from lwmport.pipeline.reopen import find
from lwmport.reports.record import ComponentReport
from lwmport.requests import by_fields, check_samples, check_types
from lwmport.targets.compile.devices import check_options
from lwmport.targets.dialects import target_of
from lwmport.targets.fix.mending import Mended, mend
from lwmport.targets.graphs.opening import READERS, is_saved_model
from lwmport.targets.preflight import Conditions, check
from lwmport.targets.registry import TARGETS
from lwmport.types import Preflight, Status

LARGEST: Final = 2**31


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """What to check, and for whom. ``toolkit`` is the version of the vendor's tools, of CANN for Ascend.

    ``inputs`` is a .npz, a .jsonl or a folder of pictures that a mended copy is proved on, and ``samples`` how many of
    them. ``input_shape`` fixes inputs as ATC's option does: ``name:1,256,256,3;other:1,77``.
    """

    artifact: Path
    target: str
    soc: str | None = None
    toolkit: str | None = None
    precision: str | None = None
    input_shape: str | None = None
    inputs: Path | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has, and give everything that has a name its one name."""
        check_types(self)
        settle(self)
        check_samples(self.samples)
        if self.samples is not None and self.inputs is None:
            raise UsageError("expected --samples beside --inputs, found it alone; leave it out")

    @property
    def conditions(self) -> Conditions:
        """For whom the rules are asked.

        Raises:
            UsageError: an unknown target, one that has no chips or no versions, or shapes of another form.
        """
        TARGETS.require(self.target)
        check_options(self.target, {"chip": self.soc, "cann": self.toolkit})
        return Conditions(
            target=self.target,
            chip=self.soc or "",
            toolkit=self.toolkit or "",
            precision=self.precision or "",
            shapes=read_shapes(self.input_shape),
        )


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What a target objects to in each model."""

    preflights: tuple[Preflight, ...]

    @property
    def status(self) -> Status:
        """Failed if any model has an error, else passed."""
        return verdict(self.preflights)


@by_fields(CheckRequest)
def check_models(request: CheckRequest, observer: Observer | None = None) -> CheckOutcome:
    """Check a model file, or every model of a folder, against the rules of a target.

    Nothing in the files is executed.

    Raises:
        ArtifactError: there is no model, or it is damaged.
        UsageError: an unknown target, chip, version or precision, or a shape that fits no input.
    """
    return CheckOutcome(preflights=check_artifacts(request, observer))


def check_artifacts(request: CheckRequest, observer: Observer | None = None) -> tuple[Preflight, ...]:
    """Return what the target objects to in a model file, or in every model of a folder.

    Raises:
        ArtifactError: there is no model, or it is damaged.
        UsageError: an unknown target, chip, version or precision, or a shape that fits no input.
    """
    observer = observer or Silent()
    conditions = request.conditions
    if request.inputs is not None:
        raise UsageError("expected --inputs beside --fix, which runs the model, found it alone; leave it out")
    found = []
    for path in models_of(request.artifact):
        observer.phase(f"check {path.name} for {request.target}")
        found.append(check(path, conditions))
    return tuple(found)


def fix_artifact(request: CheckRequest, out: Path, observer: Observer | None = None) -> Mended:
    """Write a mended copy of an ONNX model to ``out``, proved equal on random inputs, or on those of the request.

    Raises:
        PortError: it cannot be mended, or would not compute the same; nothing is written then.
    """
    (observer or Silent()).phase(f"mend {request.artifact.name} for {request.target}, and prove that it is the same")
    if not request.artifact.is_file():
        raise UsageError(f"expected one ONNX file for --fix, found {request.artifact}")
    check_writable(out.parent)
    given = OwnInputs(request.inputs, request.samples) if request.inputs else None
    return mend(request.artifact, out, request.conditions, given)


def with_preflight(section: ComponentReport, path: Path) -> ComponentReport:
    """Return a report on an artifact with what the target says that its dialect is for, if it is for one."""
    target = target_of(section.artifact.dialect)
    if target is None:
        return section
    precision = "" if section.artifact.precision == "float32" else section.artifact.precision
    return replace(section, preflight=check(path, Conditions(target=target, precision=precision)))


def models_of(artifact: Path) -> list[Path]:
    """Return the model files that a path means: itself, those of its manifest, or those in the folder.

    SavedModels are folders: one is returned where it is what is asked about, to be told that it is not read.

    Raises:
        ArtifactError: there is none.
    """
    if not artifact.is_dir() or is_saved_model(artifact):
        return [artifact]
    named = find(artifact)
    if named is not None and named.folder == artifact:
        found = [named.path(part) for part in named.parts]
    else:
        found = sorted(path for path in artifact.iterdir() if path.suffix in READERS)
        found = found or sorted(path for path in artifact.iterdir() if is_saved_model(path))[:1]
    if not found:
        raise ArtifactError(f"expected a model file ({', '.join(READERS)}) in {artifact}, found none")
    return found


def read_shapes(text: str | None) -> Mapping[str, tuple[int, ...]] | None:
    """Return the shapes of ``name:1,256,256,3;other:1,77``, None if none are given; ``name:`` is a scalar.

    Raises:
        UsageError: the text is not of that form, or names an input twice.
    """
    if not text:
        return None
    found: dict[str, tuple[int, ...]] = {}
    for part in text.split(";"):
        name, separator, sizes = part.rpartition(":")
        words = [word.strip() for word in sizes.split(",")] if sizes.strip() else []
        if not separator or not name or not all(word.isdecimal() and 0 < int(word) < LARGEST for word in words):
            raise UsageError(f"expected --input-shape as 'NAME:1,256,256,3;OTHER:1,77', found {part!r}")
        if name.strip() in found:
            raise UsageError(f"expected each input once in --input-shape, found {name.strip()} twice in {text!r}")
        found[name.strip()] = tuple(map(int, words))
    return found


def verdict(preflights: tuple[Preflight, ...]) -> Status:
    """Return failed if any model has an error."""
    return Status.FAILED if any(found.status is Status.FAILED for found in preflights) else Status.PASSED
