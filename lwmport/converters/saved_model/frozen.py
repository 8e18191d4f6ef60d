"""Frozen graph: a program and its weights become ``NAME.pb``, a GraphDef with constants (framework 3 of ATC)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from lwmport import atomic
from lwmport.converters.choices_text import choices_text
from lwmport.converters.saved_model.emitter import Emitter
from lwmport.converters.saved_model.functions import count_operators, named, sizes
from lwmport.converters.saved_model.rules import PRIMITIVES, expanded, native_rules
from lwmport.errors import LoweringError
from lwmport.extras import require
from lwmport.graphs.program import Program
from lwmport.types import Array, Artifact, Dialect, Progress, Weights

LIMIT: Final = 2**31 - 1
"""Bytes of the largest protocol buffer that any reader opens."""

WORDS: Final = "_lwmport"
"""The attribute of the first input that says what the model depends on.

A GraphDef has no field for that. Attributes that begin with an underscore are notes on a node, which its operator does
not have and readers pass over (tensorflow/core/framework/node_def_util.cc, ``ValidateNodeDef``).
"""


@dataclass(frozen=True, kw_only=True)
class _Promise:
    """A constant whose bytes are produced when they are written."""

    nbytes: int
    produce: Callable[[], Array]


class _Constants:
    """Stands a placeholder in for every weight, until the file is written (the store of an emitter)."""

    def __init__(self, tf: Any) -> None:
        self._tf = tf
        self.promises: dict[str, _Promise] = {}

    def weight(self, name: str, shape: tuple[int, ...], dtype: str, produce: Callable[[], Array]) -> Any:
        """Return the tensor of a constant to come."""
        with self._tf.name_scope(""):
            value = self._tf.compat.v1.placeholder(dtype, shape, name=name)
        nbytes = value.shape.num_elements() * value.dtype.size
        self.promises[value.op.name] = _Promise(nbytes=nbytes, produce=produce)
        return value


def convert(program: Program, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the program as a frozen graph into the folder ``out``.

    Inputs are placeholders and outputs the ends of the graph; both have the names of the signature.

    Raises:
        LoweringError: the program holds an operation that plain TensorFlow operators cannot express, or the graph
            would be larger than a protocol buffer can be.
        MissingExtraError: TensorFlow is not installed.
    """
    tf = require("tensorflow")
    graph, promises = _build(tf, program, weights, dialect)
    _tell(graph, program.signature.inputs[0].name, choices_text(weights))
    path = out / f"{program.component}.pb"
    _check_size(graph, promises, path)
    with atomic.new_file(path) as file:
        _write(file, graph, promises, progress)
    for node in graph.node:
        node.op = "Const" if node.name in promises else node.op
    return Artifact(
        component=program.component,
        format="frozen_graph",
        dialect=dialect.name,
        path=path,
        files=(path,),
        signature=program.signature,
        operators=count_operators(graph),
        details={"program": program.digest},
    )


def _tell(graph: Any, name: str, words: bytes) -> None:
    for node in graph.node:
        if words and node.name == name:
            node.attr[WORDS].s = words


def _build(tf: Any, program: Program, weights: Weights, dialect: Dialect) -> tuple[Any, dict[str, _Promise]]:
    """Return the GraphDef with placeholders for weights, and what to put in their places."""
    store = _Constants(tf)
    rules = (PRIMITIVES, native_rules(dialect))
    signature = program.signature
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(spec.dtype, sizes(spec), name=spec.name) for spec in signature.inputs]
        outputs = Emitter(tf, expanded(program, dialect), weights, store, rules).run(inputs)
        ends = named(tf, signature, outputs)
    _check_names([spec.name for spec in (*signature.inputs, *signature.outputs)], [*inputs, *ends])
    return graph.as_graph_def(), store.promises


def _check_names(names: Sequence[str], tensors: Sequence[Any]) -> None:
    """Refuse a signature whose names one graph cannot hold: an input and an output that are called the same."""
    found = [tensor.op.name for tensor in tensors]
    if found != list(names):
        raise LoweringError(
            f"expected a frozen graph with nodes named {', '.join(names)}, found {', '.join(found)}: names of nodes "
            f"are unique; convert to saved_model, whose signature has names of its own"
        )


def _check_size(graph: Any, promises: Mapping[str, _Promise], path: Path) -> None:
    total = graph.ByteSize() + sum(promise.nbytes for promise in promises.values())
    if total > LIMIT:
        raise LoweringError(
            f"expected a frozen graph of at most {LIMIT} bytes (2 GiB, the limit of protocol buffers), found {total} "
            f"for {path.name}; convert to saved_model, which keeps weights in files of their own"
        )


def _write(file: IO[bytes], graph: Any, promises: Mapping[str, _Promise], progress: Progress) -> None:
    """Write a GraphDef node by node, for a protocol buffer is the sequence of its fields."""
    total, done = sum(promise.nbytes for promise in promises.values()), 0
    rest = type(graph)()
    rest.CopyFrom(graph)
    del rest.node[:]
    for node in graph.node:
        promise = promises.get(node.name)
        if promise is not None:
            done += promise.nbytes
            progress(node.name, done, total)
        whole = node if promise is None else _constant(node, promise.produce())
        file.write(type(graph)(node=[whole]).SerializeToString(deterministic=True))
    file.write(rest.SerializeToString(deterministic=True))


def _constant(placeholder: Any, array: Array) -> Any:
    """Return the Const node that takes a placeholder's place, its value as raw bytes."""
    node = type(placeholder)(name=placeholder.name, op="Const")
    dtype = placeholder.attr["dtype"].type
    node.attr["dtype"].type = dtype
    value = node.attr["value"].tensor
    value.dtype = dtype
    value.tensor_shape.CopyFrom(placeholder.attr["shape"].shape)
    value.tensor_content = np.ascontiguousarray(array).tobytes()
    return node
