"""A model file as a structure: ONNX, TFLite, a frozen graph or a SavedModel, without its weights."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Final

from lwmport.pipeline.compare.graph_cost import Costs
from lwmport.pipeline.compare.kinds import CONTRACTION, CONVOLUTION, kind_of
from lwmport.pipeline.compare.placement import SEPARATOR, place
from lwmport.pipeline.compare.sizes import number_of, sizes_among
from lwmport.pipeline.compare.structure import Operator, Parameter, Path, Structure, bounded
from lwmport.reports.comparison.facts import Tensor
from lwmport.targets.graphs.opening import is_saved_model, open_graph
from lwmport.targets.graphs.record import Constant, Graph, Node, Value
from lwmport.targets.graphs.saved_model_graph import read_saved_model_graph

FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "onnx": ("ONNX", "an ONNX model"),
    "tflite": ("TFLite", "a TFLite model"),
    "frozen_graph": ("TensorFlow", "a frozen graph of TensorFlow"),
    "saved_model": ("TensorFlow", "a SavedModel of TensorFlow"),
}
"""Form of a graph -> whose names its operators have, and what it is in words."""

LEAVES: Final = frozenset(
    {
        *("bias", "beta", "codebook", "embedding", "embeddings", "gamma", "kernel", "mean", "scale", "table", "var"),
        *("weight", "weights", "running_mean", "running_var"),
    }
)
"""What a tensor of a module is usually called; writers add to such a name how they laid the tensor out."""

WEIGHTED: Final = frozenset({"GATHER", "Gather", "GatherV2", "EMBEDDING_LOOKUP"})
"""Operators that read a table, beside those of products and convolutions."""

NOT_RUN: Final = frozenset({"Const", "Constant", "NoOp", "Placeholder", "ReadVariableOp"})
"""Nodes that hand on what is kept, and are no operators."""

NUMBERED: Final = re.compile(r"_\d+$")
FLOATS: Final = ("float", "bfloat", "double")


def read_graph(path: FilePath, asked: Mapping[str, int]) -> Structure:
    """Return the structure of a model file; dynamic sizes are those asked for, or the usual ones.

    Raises:
        ArtifactError: the file is missing, damaged, or none of a known format.
    """
    graph = opened(path)
    dims = [dim for value in graph.inputs for dim in value.shape or ()]
    sizes = sizes_among((dim for dim in dims if isinstance(dim, str) and not dim.startswith("?")), asked)
    found = structure_of(graph, sizes)
    if (
        graph.form != "onnx"
        or not _uncounted(found)
        or not _all_known(graph, sizes)
        or all(value.static for value in graph.inputs)
    ):
        return found
    return min(found, structure_of(open_graph(path, _shapes(graph, sizes)), sizes), key=_uncounted)


def opened(path: FilePath) -> Graph:
    """Return the graph of a model file or of the folder of a SavedModel.

    Raises:
        ArtifactError: it is missing, damaged, or none of a known format.
    """
    return read_saved_model_graph(path) if is_saved_model(path) else open_graph(path)


def structure_of(graph: Graph, sizes: Mapping[str, int]) -> Structure:
    """Return the structure of a graph."""
    vocabulary, kind = FORMS[graph.form]
    own = [node for node in graph.nodes if node.op not in NOT_RUN and not _is_defined(node, graph)]
    nodes = _with_captures(own)
    parameters = _parameters(graph, nodes, vocabulary)
    placed = place(nodes, {name: found[0].path for name, found in parameters.items()})
    costs = Costs(graph, vocabulary, sizes)
    operators = tuple(
        Operator(
            name=f"{node.domain}.{node.op}" if node.domain else node.op,
            path=path,
            cost=costs.of(plain),
            inputs=tuple(name for name in node.inputs if name and name not in graph.constants),
            outputs=tuple(name for name in node.outputs if name),
        )
        for plain, node, path in zip(own, nodes, placed.paths, strict=True)
    )
    return Structure(
        kind=kind,
        vocabulary=vocabulary,
        parameters=tuple(one for found in parameters.values() for one in found),
        operators=operators,
        inputs=tuple(_tensor(value, graph) for value in graph.inputs),
        outputs=tuple(_tensor(value, graph) for value in graph.outputs),
        reads=tuple(value.name for value in graph.inputs),
        makes=tuple(value.name for value in graph.outputs),
        sizes=sizes,
        notes=tuple(_notes(graph, parameters, placed.by_neighbours)),
    )


def _uncounted(structure: Structure) -> int:
    return sum(operator.cost.flop is None for operator in structure.operators)


def _notes(graph: Graph, parameters: Mapping[str, list[Parameter]], by_neighbours: int) -> Iterator[str]:
    shared = sum(len(found) > 1 for found in parameters.values())
    if shared:
        yield f"{shared} tensors are read in several modules: each counts in every one of them"
    if by_neighbours:
        yield f"{by_neighbours:,} operators have no name and no weight of a module: placed by the weights around them"
    bodies = sum(node.scope.startswith("/") or node.scope.startswith("subgraph") for node in graph.nodes)
    if bodies:
        yield f"{bodies:,} operators lie in loops and branches: one round of each is counted"


def _with_captures(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return nodes that also read what their bodies read, for a body names values of the graph around it."""
    found = list(nodes)
    bodies: dict[str, list[int]] = defaultdict(list)
    for number, node in enumerate(found):
        bodies[node.scope].append(number)
    for number in sorted(range(len(found)), key=lambda place: -len(found[place].scope)):
        node = found[number]
        inside = bodies.get(f"{node.scope}/{node.name or node.op}", ())
        read = [name for place in inside for name in found[place].inputs]
        found[number] = replace(node, inputs=(*node.inputs, *dict.fromkeys(read))) if read else node
    return tuple(found)


def _is_defined(node: Node, graph: Graph) -> bool:
    """Return whether a node is part of a function's definition, which counts where it is called."""
    return bool(node.scope) and node.scope.partition("/")[0] in {f"{one}.{name}" for one, name in graph.functions}


def _parameters(graph: Graph, nodes: tuple[Node, ...], vocabulary: str) -> dict[str, list[Parameter]]:
    """Return the constants that are parameters, by name; one that several modules read is a parameter of each."""
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for name in node.inputs:
            if name in graph.constants:
                readers[name].append(node)
    found: dict[str, list[Parameter]] = {}
    taken: dict[tuple[Path, str], str] = {}
    bare = not any(node.module for node in nodes) and not any(_named(name)[0] for name in readers)
    for name, constant in sorted(graph.constants.items(), key=lambda item: -item[1].nbytes):
        for one in _of_constant(constant, readers[name], vocabulary, graph if bare else None):
            key = (one.path, one.tensor.name)
            if key not in taken:  # a smaller constant of the same name was computed from it
                taken[key] = name
                found.setdefault(name, []).append(one)
    return {name: found[name] for name in graph.constants if name in found}


def _of_constant(constant: Constant, readers: list[Node], vocabulary: str, bare: Graph | None) -> Iterator[Parameter]:
    """Yield the parameters that a constant is: by its name, or by the operators that read it; nothing for none.

    In a ``bare`` graph nothing tells of modules: there an operator that takes weights is one, named after its largest.
    """
    path, leaf = _named(constant.name)
    many = sum(size > 1 for size in constant.shape)
    weighted = [node for node in readers if _takes_weights(node, vocabulary, constant.name)]
    told = list(dict.fromkeys(bounded(node.module) for node in readers if node.module))
    is_number = constant.dtype.startswith(FLOATS) or (constant.dtype.startswith(("int", "uint")) and many > 1)
    if not is_number or (many == 0 and leaf not in LEAVES):
        return
    tensor = Tensor(name=leaf, shape=constant.shape, dtype=constant.dtype)
    if path and (leaf in LEAVES or weighted or many > 1):
        for owner in told or [path]:
            yield Parameter(path=owner, full=constant.name, tensor=tensor)
    elif weighted and (many > 1 or bare is not None):
        for owner in told or ([] if bare is None else [(_largest(weighted[0], bare),)]):
            yield Parameter(path=owner, full=constant.name, tensor=tensor)


def _largest(node: Node, graph: Graph) -> str:
    return max((name for name in node.inputs if name in graph.constants), key=lambda name: graph.constants[name].nbytes)


def _takes_weights(node: Node, vocabulary: str, name: str) -> bool:
    if node.op in WEIGHTED:
        return node.input(0) == name
    return kind_of(vocabulary, node.op) in (CONTRACTION, CONVOLUTION)


def _named(name: str) -> tuple[Path, str]:
    """Return the module and the own name that a constant's name tells, without what a writer added to it."""
    parts = [part for part in SEPARATOR.split(name.partition(":")[0]) if part]
    if len(parts) > 2 and NUMBERED.sub("", parts[-2]) in LEAVES:
        parts = parts[:-1]
    leaf = parts[-1] if parts else name
    plain = NUMBERED.sub("", leaf)
    return bounded(parts[:-1]), plain if plain in LEAVES else leaf


def _tensor(value: Value, graph: Graph) -> Tensor:
    return Tensor(name=graph.public.get(value.name, value.name), shape=value.shape, dtype=value.dtype)


def _shapes(graph: Graph, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    return {
        value.name: tuple(number_of(dim, sizes) or 0 for dim in value.shape)
        for value in graph.inputs
        if value.shape is not None and not value.static
    }


def _all_known(graph: Graph, sizes: Mapping[str, int]) -> bool:
    return all(number_of(dim, sizes) for value in graph.inputs for dim in value.shape or ())
