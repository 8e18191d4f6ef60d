"""Two ONNX files held against each other in ONNX Runtime, on random inputs that both take."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from lwmport.errors import ArtifactError, RunnerError, UsageError
from lwmport.runtime import RUNNERS
from lwmport.targets.graphs.record import Graph, Value
from lwmport.targets.rules.shapes import SHAPE_OPERANDS
from lwmport.types import Array, dtype_of

SEEDS: Final = (0, 1)
WIDE: Final = 2
"""The seed of the inputs of extraordinary size."""

LARGE: Final = 1e3
"""By how much floats are scaled in a trial of their own: bounds and sums that small inputs never reach show there."""

MOST: Final = 1 << 15
"""Below it lie the integers of a trial of their own: products of two of them still are in int32."""

UNSTABLE: Final = 1e-6
"""The relative change of the inputs that a model has to bear for a trial with large ones to say anything."""

TOLERANCE: Final = {"float16": 2e-2, "bfloat16": 1e-1}
"""dtype of an output -> the error that is allowed, relative to the largest value; `USUAL` for the others."""

USUAL: Final = 1e-4
"""Two orders of summation differ by that much after a hundred layers; a wrong operator by far more."""

ELEMENTS: Final = {"float16": (1.0, 0.1), "bfloat16": (4.0, 0.2)}
"""dtype of an output -> the error that is allowed at each element: (share of `SMALLER`, share of the element)."""

EACH: Final = (1e-2, 1e-2)
"""The same for the others. The largest value may be a mask of -1e4, which must not hide an error elsewhere."""

SMALLER: Final = 0.05
"""The quantile of the magnitudes that are not 0 that an element is measured by where it is smaller than most."""

THREADS: Final = 2
PASSING: Final = ("Cast", "Clip", "Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators through which an input of indices stays one."""

COUNTING: Final = {**SHAPE_OPERANDS, "Loop": (0,), "Resize": (2, 3)}
"""Operator -> its operands that say how much there is to compute: a large one could fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How far two models are apart: the largest error over the largest value, over all outputs and inputs.

    ``element`` is the largest error of one element over what is allowed there.
    """

    error: float
    tolerance: float
    output: str
    runs: int
    element: float = 0.0

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
        return (
            f"before and after {word} on {self.runs} random inputs: largest error {self.error:.2g} of the largest "
            f"value of {self.output}, {self.tolerance:g} allowed{beyond}"
        )


Trial: TypeAlias = dict[str, Array]


def prove(before: Graph, after: Graph, *, wide: bool = True) -> Proof:
    """Return how far the models of two graphs are apart; integers, flags and shapes have to be the same.

    Both see inputs in [-1, 1) and indices, and, if ``wide``, large floats and large integers, unless the first model
    fails on them, or makes of them what is not finite or hangs on the last digits of its inputs.

    Raises:
        ArtifactError: the two have other inputs or outputs.
        UsageError: an input's size is not known.
        RunnerError: ONNX Runtime refuses one of them.
    """
    renamed = _paired(before.inputs, after.inputs, "inputs")
    outputs = _paired(before.outputs, after.outputs, "outputs")
    values = after_shapes(before, after)
    trials = [{value.name: sample(value, before, seed) for value in values} for seed in SEEDS]
    pairs = _expected(before.path, trials, wide_trials(values, before) if wide else [])
    runner = RUNNERS[".onnx"](after.path, THREADS)
    proofs = [
        compare(expected, runner.run({renamed[name]: array for name, array in trial.items()}), outputs)
        for trial, expected in pairs
    ]
    return together([replace(proof, runs=len(pairs)) for proof in proofs])


def together(proofs: Sequence[Proof]) -> Proof:
    """Return the worst of some proofs, with the runs of the longest."""
    return replace(max(proofs, key=lambda proof: proof.worst), runs=max(proof.runs for proof in proofs))


def compare(expected: Mapping[str, Array], found: Mapping[str, Array], outputs: Mapping[str, str]) -> Proof:
    """Return how far the outputs of one run are from those of another, where ``outputs`` says which are which."""
    proofs = [
        Proof(
            error=difference(expected[old], found[new]),
            tolerance=TOLERANCE.get(expected[old].dtype.name, USUAL),
            output=old,
            runs=1,
            element=element(expected[old], found[new]),
        )
        for old, new in outputs.items()
    ]
    return together(proofs or [Proof(error=0.0, tolerance=USUAL, output="", runs=1)])


def wide_trials(values: Sequence[Value], graph: Graph) -> list[Trial]:
    """Return inputs of extraordinary size: floats scaled, then integers that no table is read at and no shape made of.

    A kind of trial for which the graph has no input is left out.
    """
    usual = {value.name: sample(value, graph, WIDE) for value in values}
    floats = {name: array * array.dtype.type(LARGE) for name, array in usual.items() if _is_float(array)}
    free = [value.name for value in values if usual[value.name].dtype.kind in "iu" and _is_free(value.name, graph)]
    integers = {name: _large(usual[name], name) for name in free}
    return [{**usual, **changed} for changed in (floats, integers) if changed]


def _large(array: Array, name: str) -> Array:
    random = np.random.default_rng([WIDE, *name.encode()])
    return random.integers(0, min(MOST, int(np.iinfo(array.dtype).max)), array.shape).astype(array.dtype)


def _expected(path: Path, trials: list[Trial], wide: list[Trial]) -> list[tuple[Trial, Mapping[str, Array]]]:
    """Return trials with the outputs of the first model: all usual ones, and the wide ones that it is steady on."""
    runner = RUNNERS[".onnx"](path, THREADS)
    found = [(trial, runner.run(trial)) for trial in trials]
    for trial in wide:
        with contextlib.suppress(RunnerError):
            outputs = runner.run(trial)
            nearly = {name: _shaken(array) if _is_float(array) else array for name, array in trial.items()}
            finite = all(np.isfinite(array).all() for array in outputs.values() if _is_float(array))
            if finite and compare(outputs, runner.run(nearly), {name: name for name in outputs}).equal:
                found.append((trial, outputs))
    return found


def _shaken(array: Array) -> Array:
    """Return floats that differ in their last digits; those of half precision stay, for they have none to spare."""
    factor = 1 + UNSTABLE * np.where(np.arange(array.size).reshape(array.shape) % 2, 1, -1)
    return (array * factor).astype(array.dtype)


def _is_float(array: Array) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def after_shapes(before: Graph, after: Graph) -> list[Value]:
    """Return the inputs of the first graph with the sizes of the second, which may be fewer dynamic ones."""
    return [
        Value(name=old.name, shape=new.shape, dtype=old.dtype)
        for old, new in zip(before.inputs, after.inputs, strict=True)
    ]


def difference(expected: Array, found: Array) -> float:
    """Return the largest error over the largest value; infinite where shapes, integers or what is finite differ.

    What is no number in both, at the same places, is left out as long as some numbers remain: the logarithm of a random
    input is NaN now and then.
    """
    if expected.shape != found.shape:
        return float("inf")
    if not np.issubdtype(expected.dtype, np.floating) and expected.dtype.name != "bfloat16":
        return 0.0 if np.array_equal(expected, found.astype(expected.dtype)) else float("inf")
    numbers = _numbers(expected, found)
    if numbers is None:
        return float("inf")
    one, other = numbers
    largest = float(np.abs(one).max(initial=0.0))
    error = float(np.abs(one - other).max(initial=0.0))
    return error / largest if largest else error


def _numbers(expected: Array, found: Array) -> tuple[Array, Array] | None:
    """Return the finite elements of both in float64, None where the others differ or are all that there is."""
    one, other = expected.astype(np.float64), found.astype(np.float64)
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True) or not np.isfinite(other[finite]).all():
        return None
    return (one[finite], other[finite]) if finite.any() or not one.size else None


def element(expected: Array, found: Array) -> float:
    """Return the largest error of an element over what is allowed there; infinite where `difference` is."""
    if not np.isfinite(difference(expected, found)):
        return float("inf")
    if not _is_float(expected) or not expected.size:
        return 0.0
    one, other = _numbers(expected, found) or (np.zeros(0), np.zeros(0))
    sizes = np.abs(one)
    some = sizes[sizes > 0]
    smaller = float(np.quantile(some, SMALLER)) if some.size else 1.0
    absolute, relative = ELEMENTS.get(expected.dtype.name, EACH)
    return float((np.abs(one - other) / (absolute * smaller + relative * sizes)).max())


def sample(value: Value, graph: Graph, seed: int) -> Array:
    """Return a random input: floats in [-1, 1), indices that the table they look into has, flags.

    Raises:
        UsageError: a size is not known, or the elements are no numbers.
    """
    if value.dtype in {"", "string"}:
        kind = value.dtype or "no dtype"
        raise UsageError(f"expected inputs of numbers to prove that the numbers stay, found {value.name} of {kind}")
    if not value.static or value.shape is None:
        raise UsageError(
            f"expected the size of every input to prove that the numbers stay, found {value.name}"
            f'{list(value.shape or ())}; give it: --input-shape "{value.name}:1,..."'
        )
    random = np.random.default_rng([seed, *value.name.encode()])
    shape = tuple(int(dim) for dim in value.shape if isinstance(dim, int))
    element = dtype_of(value.dtype)
    if element.kind == "b":
        return random.integers(0, 2, shape).astype(element)
    if element.kind in "iu":
        return random.integers(0, _entries(value.name, graph), shape).astype(element)
    return random.uniform(-1, 1, shape).astype(element)


def _entries(name: str, graph: Graph) -> int:
    """Return how many entries the smallest table has that an input looks into, 2 if it looks into none."""
    waiting, seen, found = [name], set(), []
    while waiting:
        current = waiting.pop()
        for node in graph.readers.get(current, ()):
            if node.op == "Gather" and node.input(1) == current:
                shape = graph.shape(node.input(0)) or ()
                axis = int(node.attributes.get("axis", 0))
                found += [size for size in shape[axis : axis + 1 or None] if isinstance(size, int)]
            elif node.op == "GatherND" and node.input(1) == current:
                found += [size for size in graph.shape(node.input(0)) or () if isinstance(size, int)]
            elif node.op in PASSING and node.input(0) == current and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                waiting.append(node.outputs[0])
    return max(min(found, default=2), 1)


def _is_free(name: str, graph: Graph) -> bool:
    """Return whether an input, as far as integers are followed, is no index into a table, size or number of rounds."""
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        for node in graph.readers.get(current, ()):
            places = COUNTING.get(node.op, ()) + ((1,) if node.op.startswith("Gather") else ())
            if any(node.input(place) == current for place in places):
                return False
            new = {made for made in node.outputs if made not in seen and not graph.dtype(made).startswith("float")}
            seen |= new if node.op not in {"Shape", "Size"} else set()
            waiting += new if node.op not in {"Shape", "Size"} else ()
    return True


def _paired(before: tuple[Value, ...], after: tuple[Value, ...], what: str) -> dict[str, str]:
    if len(before) != len(after):
        raise ArtifactError(f"expected {len(before)} {what} after the fix as before it, found {len(after)}")
    return {old.name: new.name for old, new in zip(before, after, strict=True)}
