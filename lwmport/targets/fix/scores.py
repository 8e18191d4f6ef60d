"""How far the scores of a softmax lie apart on random inputs: so large has a mask to be that hides them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx

from lwmport import memory
from lwmport.errors import RunnerError
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.fix.memory_check import TRIALS, nbytes
from lwmport.targets.fix.test_inputs import Feed
from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.numbers import HALF_MAX
from lwmport.types import Array, Runner

THREADS: Final = 2

ENDS: Final = ("LogSoftmax", "Softmax")
"""Operators whose operand are scores."""

PROBE: Final = ".scores.onnx"
"""The copy of a model, beside it, that gives its scores out: hidden, so that it is none of what is written."""


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A model before and after its constants ``masks`` became ``-limit``; it is the same else, and so are its names."""

    before: Graph
    after: Graph
    masks: tuple[str, ...]
    limit: float


def spread(found: Masked, trials: Sequence[Feed]) -> float | None:
    """Return the largest distance of a score from a shown one of its row; None if scores cannot be seen.

    Scores are what a Softmax reads that a mask leads to. They are hidden where the first model, whose masks are beyond
    float16, has them far lower than the second, which has them lower by ``limit``, or has ``-limit`` in their place.

    Raises:
        RunnerError: ONNX Runtime fails on an input.
    """
    graph = found.before
    nodes = _softmaxes(graph, found.masks)
    size = sum(nbytes(graph.values[node.input(0)]) for node in nodes)
    free = memory.free_bytes()
    if not nodes or (free is not None and TRIALS * size > free):
        return None
    with contextlib.ExitStack() as opened:
        try:
            runners = [opened.enter_context(_opened(which, nodes)) for which in (found.before, found.after)]
        except RunnerError:  # it takes the models themselves
            return None
        largest = 0.0
        for trial in trials:
            known, mended = (runner.run(trial) for runner in runners)
            for node in nodes:
                scores = known[node.input(0)], mended[node.input(0)]
                largest = max(largest, _distance(*scores, found.limit, _axes(node, graph, scores[0].ndim)))
    return largest


def _opened(graph: Graph, nodes: Sequence[Node]) -> "contextlib.closing[Runner]":
    """Return a model that shows its scores, ready to run, to be closed behind a block."""
    return contextlib.closing(open_runner(_probe(graph, nodes), RunnerContext(threads=THREADS)))


def _softmaxes(graph: Graph, masks: Sequence[str]) -> list[Node]:
    """Return the first softmaxes on the ways from masks; those within bodies are not seen from outside."""
    waiting, seen, found = [*masks], set(masks), []
    while waiting:
        for node in graph.readers.get(waiting.pop(), ()):
            if node.op in ENDS:
                found += [node] if not node.scope and node.input(0) in graph.values and node not in found else []
                continue
            new = [name for name in node.outputs if name and name not in seen]
            seen.update(new)
            waiting += new
    return found


def _axes(node: Node, graph: Graph, rank: int) -> tuple[int, ...]:
    """Return the axes of a row: one, and before opset 13 the given one with all behind it."""
    if graph.opset >= 13:
        return (int(node.attributes.get("axis", -1)),)
    return tuple(range(int(node.attributes.get("axis", 1)) % max(rank, 1), rank))


def _distance(known: Array, mended: Array, limit: float, axes: tuple[int, ...]) -> float:
    """Return the largest score over the smallest shown one of its row, over all rows that show some."""
    scores = mended.astype(np.float64)
    hidden = known.astype(np.float64) < scores - HALF_MAX / 4
    highest = np.where(hidden, scores + limit, scores).max(axis=axes)
    lowest = np.where(hidden, np.inf, scores).min(axis=axes)
    far = (highest - lowest)[np.isfinite(lowest)]
    return float(far.max(initial=0.0))


def _probe(graph: Graph, nodes: Sequence[Node]) -> Path:
    model = onnx.load(graph.path, load_external_data=False)
    given = {value.name for value in model.graph.output}
    names = dict.fromkeys(node.input(0) for node in nodes)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    path = graph.path.with_name(PROBE)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path
