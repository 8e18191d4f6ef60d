"""Two ONNX files held against each other in ONNX Runtime, on random inputs that both take."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from lwmport.errors import ArtifactError, RunnerError
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.fix.test_inputs import Feed, after_shapes, sample, wide_trials
from lwmport.targets.graphs.record import Graph, Value
from lwmport.types import Array
from lwmport.validators.relative import element_error, is_float, peak_error

SEEDS: Final = (0, 1)
UNSTABLE: Final = 1e-6
"""The relative change of the inputs that a model has to bear for a trial with large ones to say anything."""

TOLERANCE: Final = {"float16": 2e-2, "bfloat16": 1e-1}
"""dtype of an output -> the error that is allowed, relative to the largest value; `USUAL` for the others."""

USUAL: Final = 1e-4
"""Two orders of summation differ by that much after a hundred layers; a wrong operator by far more."""

ELEMENTS: Final = {"float16": (1.0, 0.1), "bfloat16": (4.0, 0.2)}
"""dtype of an output -> the error that is allowed at each element: (share of `lwmport.validators.relative.SMALLER`,
share of the element)."""

EACH: Final = (1e-2, 1e-2)
"""The same for the others. The largest value may be a mask of -1e4, which must not hide an error elsewhere."""

THREADS: Final = 2

Giver: TypeAlias = Callable[[Sequence[Value]], list[Feed]]
"""Returns a user's inputs of several runs for the inputs of a model."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How far two models are apart: the largest error over the largest value, over all outputs and inputs.

    ``element`` is the largest error of one element over what is allowed there. ``given`` of the runs are a user's.
    """

    error: float
    tolerance: float
    output: str
    runs: int
    element: float = 0.0
    given: int = 0

    @property
    def equal(self) -> bool:
        """Whether the errors are allowed; NaN is not."""
        return self.error <= self.tolerance and self.element <= 1

    @property
    def worst(self) -> float:
        """The error over the allowed one; infinite for NaN."""
        found = max(self.error / self.tolerance, self.element)
        return found if found == found and self.element == self.element else float("inf")  # noqa: PLR0124 - NaN

    @property
    def sentence(self) -> str:
        """The proof in words."""
        own = f" and {self.given} of --inputs" if self.given else ""
        word = "agree" if self.equal else "do not agree"
        beyond = f"; elements of it are {self.element:.2g} times as far off as allowed" if not self.element <= 1 else ""
        return (
            f"before and after {word} on {self.runs - self.given} random inputs{own}: largest error {self.error:.2g} "
            f"of the largest value of {self.output}, {self.tolerance:g} allowed{beyond}"
        )


def prove(before: Graph, after: Graph, *, wide: bool = True, given: Giver | None = None) -> Proof:
    """Return how far the models of two graphs are apart; integers, flags and shapes have to be the same.

    Both see inputs in [-1, 1) and indices, and, if ``wide``, large floats and large integers, unless the first model
    fails on them, or makes of them what is not finite or hangs on the last digits of its inputs.

    Raises:
        ArtifactError: the two have other inputs or outputs.
        UsageError: an input's size is not known.
        RunnerError: ONNX Runtime refuses one of them.
    """
    values = after_shapes(before, after)
    trials = [{value.name: sample(value, before, seed) for value in values} for seed in SEEDS]
    own = given(values) if given else []
    found = agreement((before, after), [*trials, *own], wide_trials(values, before) if wide else ())
    return replace(found, given=len(own))


def agreement(pair: tuple[Graph, Graph], trials: Sequence[Feed], wide: Sequence[Feed] = ()) -> Proof:
    """Return how far two models are apart on some inputs; of 0 runs if none of them says anything.

    Those in ``wide`` are left out where the first model is not steady on them.

    Raises:
        ArtifactError: the two have other inputs or outputs.
        RunnerError: ONNX Runtime refuses one of them.
    """
    before, after = pair
    renamed = _paired(before.inputs, after.inputs, "inputs")
    outputs = _paired(before.outputs, after.outputs, "outputs")
    known = _expected(before.path, trials, wide)
    if not known:
        return Proof(error=0.0, tolerance=USUAL, output="", runs=0)
    with contextlib.closing(open_runner(after.path, RunnerContext(threads=THREADS))) as runner:
        proofs = [
            compare(expected, runner.run({renamed[name]: array for name, array in trial.items()}), outputs)
            for trial, expected in known
        ]
    return together([replace(proof, runs=len(known)) for proof in proofs])


def together(proofs: Sequence[Proof]) -> Proof:
    """Return the worst of some proofs, with the runs of the longest."""
    runs, given = max(proof.runs for proof in proofs), max(proof.given for proof in proofs)
    return replace(max(proofs, key=lambda proof: proof.worst), runs=runs, given=given)


def compare(expected: Mapping[str, Array], found: Mapping[str, Array], outputs: Mapping[str, str]) -> Proof:
    """Return how far the outputs of one run are from those of another, where ``outputs`` says which are which."""
    proofs = [
        Proof(
            error=peak_error(expected[old], found[new]),
            tolerance=TOLERANCE.get(expected[old].dtype.name, USUAL),
            output=old,
            runs=1,
            element=element_error(expected[old], found[new], *ELEMENTS.get(expected[old].dtype.name, EACH)),
        )
        for old, new in outputs.items()
    ]
    return together(proofs or [Proof(error=0.0, tolerance=USUAL, output="", runs=1)])


def _expected(path: Path, trials: Sequence[Feed], wide: Sequence[Feed]) -> list[tuple[Feed, Mapping[str, Array]]]:
    """Return trials with the outputs of the first model: all usual ones, and the wide ones that it is steady on."""
    with contextlib.closing(open_runner(path, RunnerContext(threads=THREADS))) as runner:
        found: list[tuple[Feed, Mapping[str, Array]]] = [(trial, runner.run(trial)) for trial in trials]
        for trial in wide:
            with contextlib.suppress(RunnerError):
                outputs = runner.run(trial)
                nearly = {name: _shaken(array) if is_float(array) else array for name, array in trial.items()}
                finite = all(np.isfinite(array).all() for array in outputs.values() if is_float(array))
                if finite and compare(outputs, runner.run(nearly), {name: name for name in outputs}).equal:
                    found.append((trial, outputs))
    return found


def _shaken(array: Array) -> Array:
    """Return floats that differ in their last digits; those of half precision stay, for they have none to spare."""
    factor = 1 + UNSTABLE * np.where(np.arange(array.size).reshape(array.shape) % 2, 1, -1)
    return (array * factor).astype(array.dtype)


def _paired(before: tuple[Value, ...], after: tuple[Value, ...], what: str) -> dict[str, str]:
    if len(before) != len(after):
        raise ArtifactError(f"expected {len(before)} {what} after the fix as before it, found {len(after)}")
    return {old.name: new.name for old, new in zip(before, after, strict=True)}
