"""The whole file in its runtime, in every case: the verdict of `lwmport.validate`, and which case to look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.errors import PortError
from lwmport.pipeline.validate.judge import diffs_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.pipeline.validate.subject import Subject
from lwmport.processors import processors
from lwmport.runtime.isolated import run_all
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.pieces.spec import Pieces
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Status, TensorDiff

LARGEST: Final = 1 << 31
"""Bytes of a file that runs as a whole: the search is to stay within a few gigabytes."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What came of the runs of the whole file.

    Attributes:
        diffs: the verdict on every output, by case; empty where it was not run.
        case: the number of the case to look at: the first one that is out of tolerance.
        refused: why it does not run, empty if it does.
        left_out: why it was not run as a whole, empty if it was.
    """

    diffs: tuple[TensorDiff, ...] = ()
    case: int = 0
    refused: str = ""
    left_out: str = ""


def run_whole(subject: Subject, run: ReferenceRun, precision: str, runner: str | None) -> Whole:
    """Return the verdict on the outputs of a file; it runs in a process of its own, unless memory is scarce for it."""
    if runner is None and held_bytes(subject.path) > LARGEST:
        return Whole(left_out="the file is too large to be run as a whole here: operators alone give its outputs")
    signature = subject.part.signature
    context = RunnerContext(threads=processors(), signature=signature, precision=subject.hint)
    try:
        outputs = run_all(subject.path, [one.fed(signature.inputs) for one in run.all], context, runner).outputs
    except PortError as error:
        return Whole(refused=str(error))
    refused = next((found for found in outputs if isinstance(found, PortError)), None)
    if refused is not None:
        return Whole(refused=str(refused))
    made = [found for found in outputs if not isinstance(found, PortError)]
    diffs = diffs_of(run, signature, made, precision)
    return Whole(diffs=diffs, case=_first_wrong(run, diffs))


def _first_wrong(run: ReferenceRun, diffs: tuple[TensorDiff, ...]) -> int:
    """Return the number of the first run of the first case with an output that is out of tolerance; else the first."""
    wrong = next((diff.name for diff in diffs if diff.status is not Status.PASSED), "")
    cases = [one.case for one in run.all]
    return next((number for number, case in enumerate(cases) if case and wrong.startswith(f"{case}/")), 0)


def fed(run: ReferenceRun, subject: Subject, pieces: Pieces) -> dict[str, Array]:
    """Return the inputs of a run by the names that they have inside of the file."""
    given = run.fed(subject.part.signature.inputs)
    return {pieces.public_inputs.get(name, name): value for name, value in given.items()}


def public(outputs: Mapping[str, Array], subject: Subject, pieces: Pieces) -> dict[str, Array]:
    """Return outputs by the names of the signature."""
    names = {spec.name: pieces.public_outputs.get(spec.name, spec.name) for spec in subject.part.signature.outputs}
    return {name: outputs[inside] for name, inside in names.items() if inside in outputs}
