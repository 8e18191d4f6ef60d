"""One artifact against a run of the reference: run it, compare every output, draw it, and write it down."""

import contextlib
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lwmport import digest
from lwmport.atomic import is_interruption
from lwmport.errors import ChildError, said
from lwmport.handoff.processing import prepared
from lwmport.manifest import ComponentEntry, FileEntry
from lwmport.models.specs import logits_of, tolerances_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun, joined, quantized_for
from lwmport.processors import processors
from lwmport.reports.pictures import draw
from lwmport.reports.record import (
    ArtifactFacts,
    ComponentReport,
    Conversion,
    Digest,
    FileFact,
    Gallery,
    Timing,
    validation_digest,
)
from lwmport.runtime import registry
from lwmport.runtime.isolated import Timed, time_all
from lwmport.runtime.spec import RunnerContext
from lwmport.runtime.timed import timed_all
from lwmport.types import Array, Runner, Signature, TensorDiff, Validation
from lwmport.validators.outputs import compare_outputs, not_judged, structure, verdict


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one artifact, both sides' speed, and pictures of the difference.

    ``outputs`` are the artifact's in each run, as far as it came.
    """

    validation: Validation
    timings: tuple[Timing, ...]
    galleries: tuple[Gallery, ...]
    pictures: Mapping[str, bytes]
    notes: tuple[str, ...] = ()
    outputs: tuple[Mapping[str, Array], ...] = ()


Opener: TypeAlias = Callable[[Path, Signature], Runner]
"""Opens a model file whose inputs and outputs are those of a signature."""

Apart: TypeAlias = Callable[[Path, Signature, Sequence[Mapping[str, Array]]], Timed]
"""Runs a model file on some inputs in a process of its own."""


def open_runner(
    path: Path,
    signature: Signature | None = None,
    *,
    runner: str | None = None,
    precision: str = "float32",
    device: int = 0,
) -> Runner:
    """Return a model file, ready to run on every processor that this process may use.

    Args:
        path: the file.
        signature: its inputs and outputs; a file that was compiled for a device may not keep them.
        runner: a name of `lwmport.runtime.registry.RUNNERS`; by default the usual one of the file's suffix.
        precision: what the runtime is to compute in, where it has a choice.
        device: the number of the device, where there are several.

    Raises:
        UsageError: no runtime takes such a file, or the one that is named does not.
        RunnerError: the runtime refuses it.
    """
    context = RunnerContext(threads=processors(), signature=signature, precision=precision, device=device)
    return registry.open_runner(path, context, runner)


def run_apart(
    path: Path,
    signature: Signature | None,
    feeds: Sequence[Mapping[str, Array]],
    *,
    runner: str | None = None,
    precision: str = "float32",
) -> Timed:
    """Return what a model file that is not known to be ours makes of some inputs, run in a process of its own.

    Raises:
        ChildError: the runtime died, or took more memory or time than it may.
    """
    context = RunnerContext(threads=processors(), signature=signature, precision=precision)
    return time_all(path, feeds, context, runner)


def judge(  # noqa: PLR0913 - what is judged, and how it is run
    path: Path,
    signature: Signature,
    run: ReferenceRun,
    precision: str = "float32",
    tell: Callable[[str], None] = lambda _: None,
    opener: Opener = open_runner,
    *,
    apart: Apart | None = None,
) -> Judgement:
    """Return the verdict on the artifact at ``path``.

    Being out of tolerance is a result: failed. An artifact that does not run to its end is not judged, with the
    cause, unless what did run of it failed.

    ``tell`` is called with each case of an artifact that takes long. ``opener`` opens the artifact, unless ``apart``
    runs it: then the end of the runtime is a cause like any other.
    """
    trial = _tried((path, opener), signature, run, tell) if apart is None else _tried_apart(path, signature, run, apart)
    both = ((run.reference, run.seconds), (trial.runner, trial.seconds))
    sides = {side: taken for side, taken in both if taken}
    diffs = diffs_of(run, signature, trial.outputs, precision)
    verdict_of = partial(not_judged, reason=trial.refusal) if trial.refusal else verdict
    validation = verdict_of(
        component=run.component.name,
        artifact=path.name,
        reference=run.reference,
        runner=trial.runner,
        inputs=run.description,
        diffs=diffs,
        timings={side: statistics.median(taken) for side, taken in sides.items()},
    )
    drawing = draw(
        component=run.component.name,
        signature=signature,
        inputs=run.inputs,
        reference=run.outputs,
        candidate=trial.outputs[0] if trial.outputs else {},
        titles=run.titles,
    )
    timings = tuple(_timing(side, taken, run) for side, taken in sides.items())
    return Judgement(
        validation=validation,
        timings=timings,
        galleries=drawing.galleries,
        pictures=drawing.files,
        notes=trial.notes,
        outputs=tuple(trial.outputs),
    )


def diffs_of(
    run: ReferenceRun, signature: Signature, outputs: Sequence[Mapping[str, Array]], precision: str
) -> tuple[TensorDiff, ...]:
    """Return the verdict on every output, by case; ``outputs`` are an artifact's in each run, as far as it came."""
    return tuple(
        diff for runs, found in _by_case(run.all, outputs) for diff in _compared_all(runs, signature, found, precision)
    )


def why_not(path: Path, runner: str | None = None) -> str:
    """Return why a file cannot be run here, as far as that is known before it is opened; nothing if it may be."""
    return "" if runner is None and not registry.takers(path.suffix) else registry.runner_for(path, runner).why_not()


def unjudged(component: str, artifact: str, reference: str, reason: str) -> Judgement:
    """Return the verdict on an artifact that was not run: not judged, and why."""
    validation = not_judged(
        component=component, artifact=artifact, reference=reference, runner="none", inputs="", reason=reason
    )
    return Judgement(validation=validation, timings=(), galleries=(), pictures={})


@dataclass(kw_only=True)
class _Trial:
    """What an artifact gave for each case up to where it was refused; how long each run of the first took."""

    runner: str
    outputs: list[Mapping[str, Array]]
    seconds: tuple[float, ...] = ()
    refusal: str = ""
    notes: tuple[str, ...] = ()


def _tried(
    artifact: tuple[Path, Opener], signature: Signature, run: ReferenceRun, tell: Callable[[str], None]
) -> _Trial:
    """Run every case of a reference run in the runtime of a file."""
    path, opener = artifact
    trial = _Trial(runner=path.suffix, outputs=[])
    try:
        with contextlib.closing(opener(path, signature)) as runner:
            trial.runner, trial.notes = runner.name, runner.notes

            def told(number: int) -> None:
                if runner.streamed:
                    tell(f"{run.component.name}: {run.all[number].case or f'sample {number}'} in {runner.name}")

            trial.seconds = timed_all(runner, [one.fed(signature.inputs) for one in run.all], trial.outputs, told)
    except Exception as error:  # runtimes raise dozens of unrelated types
        if is_interruption(error):
            raise
        trial.refusal = said(error)
    return trial


def _tried_apart(path: Path, signature: Signature, run: ReferenceRun, apart: Apart) -> _Trial:
    """Run every case of a reference run in the runtime of a file, in a process of its own."""
    try:
        found = apart(path, signature, [one.fed(signature.inputs) for one in run.all])
    except ChildError as error:
        return _Trial(runner=path.suffix, outputs=[], refusal=said(error))
    return _Trial(
        runner=found.runner,
        outputs=list(found.outputs),
        seconds=found.seconds,
        refusal=found.refusal,
        notes=found.notes,
    )


def _by_case(
    runs: Sequence[ReferenceRun], outputs: Sequence[Mapping[str, Array]]
) -> Iterator[tuple[list[ReferenceRun], list[Mapping[str, Array]]]]:
    """Yield the runs of each case with the artifact's outputs, as far as it came."""
    ran = runs[: len(outputs)]
    for case in dict.fromkeys(run.case for run in ran):
        places = [place for place, run in enumerate(ran) if run.case == case]
        yield [runs[place] for place in places], [outputs[place] for place in places]


def _compared_all(
    runs: Sequence[ReferenceRun], signature: Signature, candidates: Sequence[Mapping[str, Array]], precision: str
) -> tuple[TensorDiff, ...]:
    """Return the outputs of all runs of one case as one; of the first run alone that has not what is promised."""
    for run, candidate in zip(runs, candidates, strict=True):
        promised = _as_promised(run.outputs, signature)
        if set(candidate) != set(promised) or any(structure(spec, promised, candidate) for spec in signature.outputs):
            return _compared(run, signature, candidate, precision)
    if len(runs) == 1:
        return _compared(runs[0], signature, candidates[0], precision)
    whole = tuple(replace(spec, shape=("samples", *spec.shape[1:])) for spec in signature.outputs)
    found = {spec.name: np.concatenate([one[spec.name] for one in candidates]) for spec in signature.outputs}
    return _compared(joined(runs), replace(signature, outputs=whole), found, precision)


def _compared(
    run: ReferenceRun, signature: Signature, candidate: Mapping[str, Array], precision: str
) -> tuple[TensorDiff, ...]:
    """Return the outputs of one case against the reference, named CASE/OUTPUT where there are several."""
    diffs = compare_outputs(
        tolerances_of(run.component.family),
        signature.outputs,
        run.counted(_as_promised(run.outputs, signature)),
        run.counted(candidate),
        precision=precision,
        quantized=quantized_for(run, candidate),
        logits=logits_of(run.component.family),
    )
    return tuple(replace(diff, name=f"{run.case}/{diff.name}") for diff in diffs) if run.case else diffs


def _as_promised(outputs: Mapping[str, Array], signature: Signature) -> dict[str, Array]:
    """Return the reference's outputs in the dtypes of an artifact: a cache may be narrower than the reference's."""
    dtypes = {spec.name: spec.dtype for spec in signature.outputs}
    return {name: array.astype(dtypes.get(name, array.dtype), copy=False) for name, array in outputs.items()}


def _timing(runner: str, seconds: tuple[float, ...], run: ReferenceRun) -> Timing:
    return Timing(
        runner=runner,
        median_s=statistics.median(seconds),
        runs=len(seconds),
        batch=run.batch,
        threads=processors(),
        cores=os.cpu_count() or 1,
    )


def component_report(
    part: ComponentEntry, judgement: Judgement, facts: tuple[str, str, str], cost: Conversion, weights_sha256: str
) -> ComponentReport:
    """Return the report's part on one component; ``facts`` are format, dialect and precision.

    Files and digests are those of ``part``: let it be what lies there now.
    """
    form, dialect, precision = facts
    opset = part.details.get("opset")
    artifact = ArtifactFacts(
        format=form,
        dialect=dialect,
        precision=precision,
        opset=int(opset) if opset is not None else None,
        nodes=sum(part.operators.values()),
        operators=part.operators,
        files=tuple(FileFact(name=file.name, bytes=file.bytes, sha256=file.sha256) for file in part.files),
    )
    return ComponentReport(
        validation=judgement.validation,
        signature=part.signature,
        artifact=artifact,
        conversion=cost,
        timings=judgement.timings,
        galleries=judgement.galleries,
        notes=judgement.notes,
        digests=_chain(weights_sha256, part, judgement.validation),
        prepared=prepared(part.signature, part.preprocessing),
    )


def _chain(weights_sha256: str, part: ComponentEntry, validation: Validation) -> tuple[Digest, ...]:
    return (
        Digest(name="checkpoint", sha256=weights_sha256),
        Digest(name="program", sha256=part.program_sha256),
        Digest(name="artifact", sha256=artifact_digest(part.files)),
        Digest(name="validation", sha256=validation_digest(validation)),
    )


def artifact_digest(files: tuple[FileEntry, ...]) -> str:
    """Return one digest for all files of an artifact: their names and digests, hashed."""
    return digest.of_json([[file.name, file.sha256] for file in files])
