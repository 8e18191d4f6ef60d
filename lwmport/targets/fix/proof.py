"""Two ONNX files held against each other in ONNX Runtime, on random inputs that both take."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.errors import ArtifactError, UsageError
from lwmport.runtime import RUNNERS
from lwmport.targets.graphs.record import Graph, Value
from lwmport.types import Array, dtype_of

SEEDS: Final = (0, 1)
TOLERANCE: Final = {"float16": 2e-2, "bfloat16": 1e-1}
"""dtype of an output -> the error that is allowed, relative to the largest value; `USUAL` for the others."""

USUAL: Final = 1e-4
"""Two orders of summation differ by that much after a hundred layers; a wrong operator by far more."""

THREADS: Final = 2
PASSING: Final = ("Cast", "Clip", "Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators through which an input of indices stays one."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How far two models are apart: the largest error over the largest value, over all outputs and inputs."""

    error: float
    tolerance: float
    output: str
    runs: int

    @property
    def equal(self) -> bool:
        """Whether the error is allowed; NaN is not."""
        return self.error <= self.tolerance

    @property
    def sentence(self) -> str:
        """The proof in words."""
        word = "agree" if self.equal else "do not agree"
        return (
            f"before and after {word} on {self.runs} random inputs: largest error {self.error:.2g} of the largest "
            f"value of {self.output}, {self.tolerance:g} allowed"
        )


def prove(before: Graph, after: Graph) -> Proof:
    """Return how far the models of two graphs are apart; integers, flags and shapes have to be the same.

    Raises:
        ArtifactError: the two have other inputs or outputs.
        UsageError: an input's size is not known.
        RunnerError: ONNX Runtime refuses one of them.
    """
    renamed = _paired(before.inputs, after.inputs, "inputs")
    outputs = _paired(before.outputs, after.outputs, "outputs")
    trials = [{value.name: sample(value, before, seed) for value in after_shapes(before, after)} for seed in SEEDS]
    expected = _run(before.path, trials)
    found = _run(after.path, [{renamed[name]: array for name, array in trial.items()} for trial in trials])
    worst: tuple[float, float, str] = (0.0, USUAL, next(iter(outputs), ""))
    for one, other in zip(expected, found, strict=True):
        for old, new in outputs.items():
            allowed = TOLERANCE.get(one[old].dtype.name, USUAL)
            error = difference(one[old], other[new])
            if not error / allowed <= worst[0] / worst[1]:
                worst = (error, allowed, old)
    return Proof(error=worst[0], tolerance=worst[1], output=worst[2], runs=len(trials))


def after_shapes(before: Graph, after: Graph) -> list[Value]:
    """Return the inputs of the first graph with the sizes of the second, which may be fewer dynamic ones."""
    return [
        Value(name=old.name, shape=new.shape, dtype=old.dtype)
        for old, new in zip(before.inputs, after.inputs, strict=True)
    ]


def difference(expected: Array, found: Array) -> float:
    """Return the largest error over the largest value; infinite where shapes, integers or what is finite differ."""
    if expected.shape != found.shape:
        return float("inf")
    if not np.issubdtype(expected.dtype, np.floating) and expected.dtype.name != "bfloat16":
        return 0.0 if np.array_equal(expected, found.astype(expected.dtype)) else float("inf")
    one, other = expected.astype(np.float64), found.astype(np.float64)
    if not np.isfinite(one).all() or not np.isfinite(other).all():
        return float("inf")
    largest = float(np.abs(one).max(initial=0.0))
    error = float(np.abs(one - other).max(initial=0.0))
    return error / largest if largest else error


def sample(value: Value, graph: Graph, seed: int) -> Array:
    """Return a random input: floats in [-1, 1), indices that the table they look into has, flags.

    Raises:
        UsageError: a size is not known.
    """
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
            elif node.op in PASSING and node.input(0) == current and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                waiting.append(node.outputs[0])
    return max(min(found, default=2), 1)


def _run(path: Path, trials: list[dict[str, Array]]) -> list[Mapping[str, Array]]:
    runner = RUNNERS[".onnx"](path, THREADS)
    return [runner.run(trial) for trial in trials]


def _paired(before: tuple[Value, ...], after: tuple[Value, ...], what: str) -> dict[str, str]:
    if len(before) != len(after):
        raise ArtifactError(f"expected {len(before)} {what} after the fix as before it, found {len(after)}")
    return {old.name: new.name for old, new in zip(before, after, strict=True)}
