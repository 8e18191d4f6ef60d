"""The scores of a softmax on random inputs: how far they lie apart, and which results mean nothing.

A mask that hides has to be larger than the distance of the scores. Where it hides a whole row, the softmax is NaN, or
any weights: what follows from that row means nothing, unless the model itself sets something in its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import onnx

from lwmport import memory
from lwmport.errors import RunnerError
from lwmport.onnx_dtypes import NUMBERS
from lwmport.targets.fix.memory_check import TRIALS, nbytes
from lwmport.targets.fix.test_inputs import Feed
from lwmport.targets.fix.trials import Job, run
from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.numbers import HALF_MAX
from lwmport.types import Array
from lwmport.validators.relative import is_float

ENDS: Final = ("LogSoftmax", "Softmax")
"""Operators whose operand are scores."""

PROBE: Final = ".scores.onnx"
"""The copy of a model, beside it, that gives its scores out: hidden, so that it is none of what is written."""

ROWS, WEIGHTS = ".rows", ".weights"
"""Behind the name of a softmax's result: the inputs of the copy that say which of its rows are to be what."""

STEADY: Final = 1e-5
"""The relative change of an element that is none."""


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A model before and after its constants ``masks`` became ``-limit``; it is the same else, and so are its names.

    ``notes`` is how many lines say what was done, ``apart`` how far scores lie apart on inputs of ordinary size, None
    where that could not be seen.
    """

    before: Graph
    after: Graph
    masks: tuple[str, ...]
    limit: float
    notes: int = 0
    apart: float | None = None


def spread(found: Masked, trials: Sequence[Feed]) -> float | None:
    """Return the largest distance of a score from a shown one of its row; None if scores cannot be seen.

    Scores are what a Softmax reads that a mask leads to. They are hidden where the first model, whose masks are beyond
    float16, has them far lower than the second, which has them lower by ``limit``, or has ``-limit`` in their place.
    """
    graph = found.before
    pairs = _seen(found, trials)
    if pairs is None:
        return None
    largest = 0.0
    for known, mended in pairs:
        for node in softmaxes(graph, found.masks):
            scores = known[node.input(0)], mended[node.input(0)]
            largest = max(largest, _distance(*scores, found.limit, _axes(node, graph, scores[0].ndim)))
    return largest


def meaningless(found: Masked, feeds: Sequence[Feed]) -> list[Mapping[str, Array]]:
    """Return, for each input, output -> which elements mean nothing, for they hang on rows that are hidden whole.

    Such rows are put in by others: weights for NaN, and other weights for weights. What changes then means nothing.
    """
    graph, nodes = found.before, softmaxes(found.before, found.masks)
    pairs = _seen(found, feeds)
    if pairs is None:
        return [{} for _ in feeds]
    asked: list[Feed] = []
    for feed, (known, mended) in zip(feeds, pairs, strict=True):
        asked += [{**feed, **_others(graph, nodes, known, mended, broken=broken)} for broken in (True, False)]
    if not any(array.any() for feed in asked for name, array in feed.items() if name.endswith(ROWS)):
        return [{} for _ in feeds]
    runs = _run([_copy_with(graph, nodes, _with_others)], asked)
    if runs is None:
        return [{} for _ in feeds]
    made = runs[0]
    return [
        {value.name: _changed(known[value.name], *(one[value.name] for one in made[2 * place : 2 * place + 2]))
         for value in graph.outputs}
        for place, (known, _) in enumerate(pairs)
    ]  # fmt: skip


def _others(
    graph: Graph, nodes: Sequence[Node], known: Mapping[str, Array], mended: Mapping[str, Array], *, broken: bool
) -> dict[str, Array]:
    """Return the rows of each softmax that are hidden whole, those of NaN or the others, and new weights."""
    random = np.random.default_rng(0)
    found = {}
    for node in nodes:
        weights = known[node.outputs[0]]
        axes = _axes(node, graph, weights.ndim)
        scores = known[node.input(0)].astype(np.float64)
        hidden = ~(scores >= mended[node.input(0)].astype(np.float64) - HALF_MAX / 4)
        rows = hidden.all(axis=axes, keepdims=True) & (np.isnan(weights).any(axis=axes, keepdims=True) == broken)
        other = random.uniform(0.1, 1, weights.shape)
        other /= other.sum(axis=axes, keepdims=True)
        found[f"{node.outputs[0]}{ROWS}"] = np.broadcast_to(rows, weights.shape).copy()
        found[f"{node.outputs[0]}{WEIGHTS}"] = (np.log(other) if node.op == "LogSoftmax" else other).astype(
            weights.dtype
        )
    return found


def _changed(known: Array, for_nan: Array, for_weights: Array) -> Array:
    """Return which elements are NaN for NaN weights alone, or are others for other weights."""
    if not is_float(known):
        return np.asarray(known != for_weights)
    one, other, third = (array.astype(np.float64) for array in (known, for_nan, for_weights))
    peak = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    same = np.isclose(one, third, rtol=STEADY, atol=STEADY * 1e-2 * peak, equal_nan=True)
    found: Array = (np.isnan(one) & ~np.isnan(other)) | ~same
    return found


def softmaxes(graph: Graph, masks: Sequence[str]) -> list[Node]:
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


def _seen(found: Masked, feeds: Sequence[Feed]) -> list[tuple[Mapping[str, Array], Mapping[str, Array]]] | None:
    """Return scores, weights and outputs of both models; None where they cannot be seen, or do not fit into memory."""
    nodes = softmaxes(found.before, found.masks)
    size = sum(nbytes(found.before.values[node.input(0)]) for node in nodes)
    free = memory.free_bytes()
    if not nodes or not feeds or (free is not None and TRIALS * size > free):
        return None
    runs = _run([_copy_with(graph, nodes, _with_scores) for graph in (found.before, found.after)], feeds)
    return None if runs is None else list(zip(*runs, strict=True))


def _run(copies: Sequence[Graph], feeds: Sequence[Feed]) -> list[list[Mapping[str, Array]]] | None:
    """Return the outputs of copies on each input, None where one is refused or fails: the models themselves did not."""
    names = {name: name for feed in feeds[:1] for name in feed}
    made = run([Job(graph=copy, names=names, places=range(len(feeds))) for copy in copies], feeds)
    kept = [[one for one in outcome if not isinstance(one, RunnerError)] for outcome in made]
    return kept if all(len(outcome) == len(feeds) for outcome in kept) else None


def _axes(node: Node, graph: Graph, rank: int) -> tuple[int, ...]:
    """Return the axes of a row: one, and before opset 13 the given one with all behind it."""
    if graph.opset >= 13:
        return (int(node.attributes.get("axis", -1)),)
    return tuple(range(int(node.attributes.get("axis", 1)) % max(rank, 1), rank))


def _distance(known: Array, mended: Array, limit: float, axes: tuple[int, ...]) -> float:
    """Return the largest score over the smallest shown one of its row, over all rows that show some."""
    scores = mended.astype(np.float64)
    hidden = ~(known.astype(np.float64) >= scores - HALF_MAX / 4)
    highest = np.where(hidden, scores + limit, scores).max(axis=axes)
    lowest = np.where(hidden, np.inf, scores).min(axis=axes)
    far = (highest - lowest)[np.isfinite(lowest)]
    return float(far.max(initial=0.0))


def _copy_with(graph: Graph, nodes: Sequence[Node], change: Any) -> Graph:
    """Write and return a copy of a model, beside it, that is changed at its softmaxes."""
    model = onnx.load(graph.path, load_external_data=False)
    change(model, nodes, graph)
    path = graph.path.with_name(PROBE)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return replace(graph, path=path)


def _with_scores(model: onnx.ModelProto, nodes: Sequence[Node], _graph: Graph) -> None:
    """Give out what softmaxes read and make."""
    given = {value.name for value in model.graph.output}
    names = dict.fromkeys(name for node in nodes for name in (node.input(0), node.outputs[0]))
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)


def _with_others(model: onnx.ModelProto, nodes: Sequence[Node], graph: Graph) -> None:
    """Let two more inputs for each softmax say which of its weights are to be others, and which."""
    names = {node.outputs[0] for node in nodes}
    made = list(_replaced(model.graph.node, names))
    del model.graph.node[:]
    model.graph.node.extend(made)
    for name in sorted(names):
        dims = [f"{name}.{axis}" for axis in range(len(graph.shape(name) or ()))]
        number = NUMBERS[graph.dtype(name) or "float32"]
        model.graph.input.append(onnx.helper.make_tensor_value_info(f"{name}{ROWS}", onnx.TensorProto.BOOL, dims))
        model.graph.input.append(onnx.helper.make_tensor_value_info(f"{name}{WEIGHTS}", number, dims))


def _replaced(nodes: Sequence[onnx.NodeProto], names: set[str]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        name = copy.output[0] if copy.output else ""
        if name in names:
            copy.output[0] = f"{name}.own"
            yield copy
            yield onnx.helper.make_node("Where", [f"{name}{ROWS}", f"{name}{WEIGHTS}", f"{name}.own"], [name])
        else:
            yield copy
