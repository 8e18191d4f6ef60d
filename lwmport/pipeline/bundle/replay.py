"""The models of a bundle, run on its golden samples in the runtimes that are installed here."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.errors import ChildError, MissingExtraError, PortError
from lwmport.handoff.arrays import array_of
from lwmport.handoff.opening import Archive
from lwmport.handoff.record import ArrayFile, ComponentSpec, Sample
from lwmport.manifest import Manifest
from lwmport.models.specs import spec_of, tolerances_of
from lwmport.pipeline.observer import Observer
from lwmport.processors import processors
from lwmport.runtime.isolated import run_all
from lwmport.runtime.registry import runner_for, takers
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Quantized, TensorDiff, Tolerances, Validation
from lwmport.validators.outputs import compare_outputs, skipped, verdict

REFERENCE: Final = "golden outputs"
LARGEST_ARRAY: Final = 4 << 30
"""Bytes of one golden array; it is held in memory."""


@dataclass(frozen=True, kw_only=True)
class How:
    """How the models are run: by which runner, the usual one if none is named, and whether their sender is known."""

    runner: str | None = None
    trusted: bool = False


def replay(archive: Archive, made: Manifest, part: ComponentSpec, how: How, observer: Observer) -> Validation:
    """Return the verdict on one model: every output of every golden sample, named SAMPLE/OUTPUT.

    It lies unpacked in a private folder meanwhile. What no runtime here takes, or none that is installed, is skipped,
    and so are models that could do harm in their runtime, unless their sender is known.

    Raises:
        ArtifactError: a file of the model is not as it was packed.
        UsageError: the runner that is named does not take the model.
        PortError: there is no room to unpack it.
    """
    own = next(found for found in made.components if found.name == part.name)
    reason = _refusal(part, how)
    if reason:
        return _skipped(part, reason)
    observer.phase(f"{part.name}: unpack and run {part.model}")
    with tempfile.TemporaryDirectory(prefix="lwmport-verify-") as scratch:
        for file in own.files:
            _unpack(archive, f"models/{file.name}", Path(scratch))
        try:
            given = [_arrays(archive, sample.inputs) for sample in part.samples]
            context = RunnerContext(threads=processors(), signature=own.signature)
            runs = run_all(Path(scratch, part.model), given, context, how.runner)
            pairs = zip(part.samples, runs.outputs, strict=True)
            diffs = tuple(diff for sample, found in pairs for diff in _judge(archive, made, part, sample, found))
        except MissingExtraError as error:
            return _skipped(part, str(error))
        except PortError as error:
            if isinstance(error, ChildError) and error.cause in {"memory", "time"}:
                return _skipped(part, str(error))
            return verdict(
                component=part.name,
                artifact=part.model,
                reference=_reference(made),
                runner=str(error).replace(f"{scratch}/", ""),
                inputs="",
                diffs=(),
            )
    titles = "; ".join(f"{sample.name} {sample.title}" for sample in part.samples)
    return verdict(
        component=part.name,
        artifact=part.model,
        reference=_reference(made),
        runner=runs.runner,
        inputs=titles,
        diffs=diffs,
    )


def _unpack(archive: Archive, name: str, scratch: Path) -> None:
    try:
        archive.unpack(name, scratch)
    except OSError as error:
        raise PortError(
            f"cannot unpack {name} of {archive.path} into {scratch.parent}: {error.strerror or error}; "
            f"set TMPDIR to a folder with room for it"
        ) from error


def _refusal(part: ComponentSpec, how: How) -> str:
    """Return why a model is not run, or nothing."""
    path = Path(part.model)
    if how.runner is None and not takers(path.suffix):
        return f"no runner takes {part.model}"
    risk = runner_for(path, how.runner).risk
    return f"{risk}: it is run only if --sha256 tells whose bundle this is" if risk and not how.trusted else ""


def _judge(
    archive: Archive, made: Manifest, part: ComponentSpec, sample: Sample, found: Mapping[str, Array] | PortError
) -> Iterator[TensorDiff]:
    if isinstance(found, PortError):
        raise found
    masks = _arrays(archive, sample.relevant)
    counted = {name: _counted(array, masks.get(name)) for name, array in found.items()}
    expected = _arrays(archive, sample.outputs)
    vectors = _arrays(archive, sample.vectors)
    codebooks = _arrays(archive, {name: codes.codebook for name, codes in part.codes.items()})
    made_of = {
        name: Quantized(states=codes.states, vectors=vectors[name], codebook=codebooks[name])
        for name, codes in part.codes.items()
    }
    rows = tolerances_of(made.family) if spec_of(made.family) else _told(part)
    diffs = compare_outputs(rows, part.outputs, expected, counted, precision=part.precision, quantized=made_of)
    for diff in diffs:
        yield replace(diff, name=f"{sample.name}/{diff.name}")


def _told(part: ComponentSpec) -> Tolerances:
    """Return the tolerances that the bundle itself carries."""
    rows = {(name, key): one for name, by_precision in part.tolerances.items() for key, one in by_precision.items()}
    return Tolerances(outputs=rows)


def _reference(made: Manifest) -> str:
    """Return what the models are judged by. A family that is not installed here leaves the bundle's own tolerances."""
    if spec_of(made.family):
        return REFERENCE
    return f"{REFERENCE}, by the bundle's own tolerances: the family {made.family!r} is not installed here"


def _counted(array: Array, mask: Array | None) -> Array:
    """Return an output with zeros where it does not count; one of a shape that the mask does not fit stays as it is."""
    if mask is None or not broadcasts(mask.shape, array.shape):
        return array
    return np.where(mask, array, np.zeros((), array.dtype))


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Return whether an array of one shape can stand for one of another by repeating it."""
    return len(shape) <= len(to) and all(
        size in {1, wanted} for size, wanted in zip(reversed(shape), reversed(to), strict=False)
    )


def _arrays(archive: Archive, files: Mapping[str, ArrayFile]) -> dict[str, Array]:
    """Return arrays, each as its record tells it: no header of a .npy is believed."""
    return {name: array_of(archive.read(file.npy, LARGEST_ARRAY), file) for name, file in files.items()}


def _skipped(part: ComponentSpec, reason: str) -> Validation:
    return skipped(
        component=part.name, artifact=part.model, reference=REFERENCE, runner="none", inputs="", reason=reason
    )
