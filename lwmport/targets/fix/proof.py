"""Two ONNX files held against each other in ONNX Runtime, on random inputs that both take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from lwmport.errors import ArtifactError
from lwmport.targets.fix.test_inputs import Feed, after_shapes, usual_trials, wide_trials
from lwmport.targets.fix.trials import pair
from lwmport.targets.graphs.record import Graph, Value
from lwmport.types import Array
from lwmport.validators.relative import element_error, is_float, peak_error

EIGHT_BITS: Final = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")

TOLERANCE: Final = {"float16": 2e-2, "bfloat16": 1e-1, **dict.fromkeys(EIGHT_BITS, 0.3)}
"""dtype of an output -> the error that is allowed, relative to the largest value; `USUAL` for the others."""

USUAL: Final = 1e-4
"""Two orders of summation differ by that much after a hundred layers; a wrong operator by far more."""

ELEMENTS: Final = {"float16": (1.0, 0.1), "bfloat16": (4.0, 0.2), **dict.fromkeys(EIGHT_BITS, (8.0, 0.5))}
"""dtype of an output -> the error that is allowed at each element: (share of `lwmport.validators.relative.SMALLER`,
share of the element)."""

EACH: Final = (1e-2, 1e-2)
"""The same for the others. The largest value may be a mask of -1e4, which must not hide an error elsewhere."""

LeftOut: TypeAlias = Callable[[Sequence[Feed]], Sequence[Mapping[str, Array]]]
"""Returns, for each of some inputs, output -> which of its elements mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How far two models are apart: the largest error over the largest value, over all outputs and inputs.

    ``element`` is the largest error of one element over what is allowed there, ``silent`` are outputs of which no run
    said anything, ``inputs`` what the runs were on, in words.
    """

    error: float
    tolerance: float
    output: str
    runs: int
    element: float = 0.0
    silent: frozenset[str] = frozenset()
    inputs: str = ""

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
        word = "agree" if self.equal else "do not agree"
        beyond = f"; elements of it are {self.element:.2g} times as far off as allowed" if not self.element <= 1 else ""
        inputs = self.inputs or f"{self.runs} random inputs"
        return (
            f"before and after {word} on {inputs}: largest error {self.error:.2g} of the largest "
            f"value of {self.output}, {self.tolerance:g} allowed{beyond}"
        )


def prove(
    before: Graph,
    after: Graph,
    *,
    wide: bool = True,
    given: Sequence[Feed] = (),
    left_out: LeftOut | None = None,
) -> Proof:
    """Return how far the models of two graphs are apart; integers, flags and shapes have to be the same.

    Both see ``given``, or else inputs in [-1, 1), indices, and values that comparisons name; and, if ``wide``, large
    floats and large integers, unless the first model fails on them, or makes of them what is not finite or hangs on
    the last digits of its inputs.

    Raises:
        ArtifactError: the two have other inputs or outputs.
        UsageError: an input's size is not known.
        RunnerError: ONNX Runtime refuses one of them.
    """
    if given:
        return agreement((before, after), given, left_out=left_out)
    values = after_shapes(before, after)
    return agreement(
        (before, after), usual_trials(values, before), wide_trials(values, before) if wide else (), left_out
    )


def agreement(
    models: tuple[Graph, Graph], trials: Sequence[Feed], wide: Sequence[Feed] = (), left_out: LeftOut | None = None
) -> Proof:
    """Return how far two models are apart on some inputs; of 0 runs if none of them says anything.

    Those in ``wide`` are left out where the first model is not steady on them, elements in ``left_out`` always.

    Raises:
        ArtifactError: the two have other inputs or outputs.
        RunnerError: ONNX Runtime refuses one of them.
    """
    usual, others = agreements(models, trials, [wide], left_out)
    runs = usual.runs + others[0].runs
    silent = usual.silent if usual.runs else others[0].silent
    return replace(together([usual, *(other for other in others if other.runs)]), runs=runs, silent=silent)


def agreements(
    models: tuple[Graph, Graph],
    trials: Sequence[Feed],
    sets: Sequence[Sequence[Feed]],
    left_out: LeftOut | None = None,
) -> tuple[Proof, list[Proof]]:
    """Return how far two models are apart on some inputs, and on each of some sets of wide ones; see `agreement`."""
    before, after = models
    renamed = _paired(before.inputs, after.inputs, "inputs")
    outputs = _paired(before.outputs, after.outputs, "outputs")
    more = [feed for feeds in sets for feed in feeds]
    found = pair(before, after, renamed, (trials, more))
    known = [trial for trial in found if trial.near is None or _steady(trial.before, trial.near)]
    usual = [trial for trial in known if trial.near is None]
    nothing = left_out([trial.feed for trial in usual]) if left_out else [{} for _ in usual]
    proofs = [compare(trial.before, trial.after, outputs, masked) for trial, masked in zip(usual, nothing, strict=True)]
    ends = [len(trials) + sum(len(feeds) for feeds in sets[: place + 1]) for place in range(len(sets))]
    starts = [len(trials), *ends]
    others = [
        _all_of([compare(trial.before, trial.after, outputs) for trial in known if start <= trial.place < end])
        for start, end in zip(starts, ends, strict=False)
    ]
    return _all_of(proofs), others


def _all_of(proofs: Sequence[Proof]) -> Proof:
    """Return the worst of some proofs with the number of runs, and the outputs of which none says anything."""
    if not proofs:
        return Proof(error=0.0, tolerance=USUAL, output="", runs=0)
    silent = frozenset.intersection(*(proof.silent for proof in proofs))
    return replace(together(proofs), runs=len(proofs), silent=silent)


def _steady(made: Mapping[str, Array], near: Mapping[str, Array]) -> bool:
    """Return whether outputs are finite, and stay where the last digits of the inputs change."""
    finite = all(np.isfinite(array).all() for array in made.values() if is_float(array))
    return bool(finite) and compare(made, near, {name: name for name in made}).equal


def together(proofs: Sequence[Proof]) -> Proof:
    """Return the worst of some proofs, with the runs of the longest."""
    worst = max(proofs, key=lambda proof: proof.worst)
    return replace(worst, runs=max(proof.runs for proof in proofs))


def compare(
    expected: Mapping[str, Array],
    found: Mapping[str, Array],
    outputs: Mapping[str, str],
    left_out: Mapping[str, Array] | None = None,
) -> Proof:
    """Return how far the outputs of one run are from those of another, where ``outputs`` says which are which.

    ``left_out`` says which elements of an output mean nothing.
    """
    proofs = [_compared(old, expected[old], found[new], (left_out or {}).get(old)) for old, new in outputs.items()]
    nothing = Proof(error=0.0, tolerance=USUAL, output="", runs=1)
    silent = frozenset(proof.output for proof in proofs if proof.silent)
    return replace(together(proofs or [nothing]), silent=silent)


def _compared(name: str, expected: Array, found: Array, left_out: Array | None) -> Proof:
    dtype = expected.dtype.name
    nothing = Proof(error=0.0, tolerance=TOLERANCE.get(dtype, USUAL), output=name, runs=1)
    if left_out is not None and expected.shape == found.shape == left_out.shape:
        expected, found = expected[~left_out], found[~left_out]
    if expected.shape == found.shape and expected.dtype == found.dtype and _says_nothing(expected, found, left_out):
        return replace(nothing, silent=frozenset({name}))
    return replace(
        nothing,
        error=peak_error(expected, found),
        element=element_error(expected, found, *ELEMENTS.get(dtype, EACH)),
    )


def _says_nothing(expected: Array, found: Array, left_out: Array | None) -> bool:
    """Return whether no number is left, or none but the same NaN and infinities in both."""
    if not expected.size:
        return left_out is not None and bool(left_out.any())
    if not is_float(expected):
        return False
    one, other = expected.astype(np.float64), found.astype(np.float64)
    return not np.isfinite(one).any() and np.array_equal(one, other, equal_nan=True)


def _paired(before: tuple[Value, ...], after: tuple[Value, ...], what: str) -> dict[str, str]:
    if len(before) != len(after):
        raise ArtifactError(f"expected {len(before)} {what} after the fix as before it, found {len(after)}")
    return {old.name: new.name for old, new in zip(before, after, strict=True)}
