"""Pieces of a SavedModel and of a frozen graph: TensorFlow runs what lies between values that are fed and wanted."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.errors import ArtifactError, PortError, RunnerError, one_line
from lwmport.extras import require
from lwmport.runtime.inputs import spec_of
from lwmport.runtime.pieces.given import VALUELESS, needed
from lwmport.runtime.pieces.spec import Operator
from lwmport.runtime.pieces.tensorflow_attributes import attributes
from lwmport.runtime.pieces.tensorflow_frozen import read_frozen
from lwmport.runtime.pieces.tensorflow_nodes import owner
from lwmport.runtime.pieces.tensorflow_piece import HANDLE, Piece
from lwmport.runtime.pieces.tensorflow_saved import read_saved
from lwmport.runtime.pieces.tensorflow_source import Source
from lwmport.runtime.runners.tensorflow import set_threads
from lwmport.types import Array, TensorSpec

KEPT: Final = 32
"""Pieces that stay open: the same operators often run twice, on both sides' values. Weights are not kept."""

READ: Final = "ReadVariableOp"

READERS: Final[Mapping[str, Callable[[Any, Path], Source]]] = {"saved_model": read_saved, "frozen_graph": read_frozen}


class TensorFlowPieces:
    """The operators of a graph (`lwmport.runtime.pieces.spec.Pieces`); tensors have TensorFlow's names: ``node:0``.

    Calls of functions are replaced by what these hold, whose nodes keep their names. Loops and branches (While, If) are
    one operator each. What only has an effect (assertions, writing) is left out, and so is all waiting for it.

    Constants are Const nodes; variables go by the tensor that reads one, or by its handle where an operator takes that
    (ResourceGather). TensorFlow's optimiser (Grappler) and its folding of constants are switched off: they fuse and
    reorder what they see, so that a piece would compute other numbers than the whole. The runner of whole models
    leaves them on. So the whole model in pieces is as near to that as rounding is, and bit for bit the same however it
    is cut.

    Attributes:
        public_inputs, public_outputs: names in the signature -> names of tensors; those of the nodes in a frozen graph.

    Raises:
        RunnerError: TensorFlow refuses the model, or already runs with other threads than these.
        ArtifactError: it is no whole model, or has loops of TensorFlow 1.
        MissingExtraError: TensorFlow is not installed.
    """

    def __init__(self, path: Path, threads: int, form: str) -> None:
        self.format, self._path, self._threads = form, path, threads
        self._tf = require("tensorflow")
        set_threads(self._tf.config.threading, threads)
        try:
            self._source = READERS[form](self._tf, path)
            self._handles = self._variables()
            self._shaped = self._graph()
        except ArtifactError as error:
            raise ArtifactError(f"{error}, in {path}") from error
        except Exception as error:  # readers of protocol buffers, of files and of graphs raise unrelated types
            raise RunnerError(f"TensorFlow refused {path}: {one_line(error)}") from error
        self.public_inputs, self.public_outputs = self._source.inputs, self._source.outputs
        self._kept: OrderedDict[Any, Piece] = OrderedDict()
        self._closed = False

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs of the whole model, by the names of tensors."""
        return tuple(map(self._spec, self.public_inputs.values()))

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Outputs of the whole model, by the names of tensors."""
        return tuple(map(self._spec, self.public_outputs.values()))

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """All operators, each behind what it reads."""
        return tuple(self._operator(node) for name, node in self._source.nodes.items() if not self._is_given(name))

    @cached_property
    def constants(self) -> Mapping[str, TensorSpec]:
        """Shape and dtype of every constant and variable."""
        kept = [name for name, node in self._source.nodes.items() if node.op == "Const" or name in self._handles]
        return {f"{name}:0": self._constant_spec(name) for name in kept}

    def constant(self, name: str) -> Array:
        """Return the value of a constant or a variable, read from its file now.

        Raises:
            RunnerError: the model is closed, has no such constant, or its file is damaged.
            ArtifactError: the model has no value for it.
        """
        self._check_open()
        if name not in self.constants:
            raise RunnerError(f"expected a constant of {self._path}, found {name!r}")
        try:
            return self._source.constants(owner(name))
        except PortError:
            raise
        except Exception as error:  # as above
            raise RunnerError(f"TensorFlow cannot read {name} of {self._path}: {one_line(error)}") from error

    def run(self, operators: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """Return some tensors that a few operators compute, by name (`lwmport.runtime.pieces.spec.Pieces.run`).

        Values that none of the operators reads are left alone.

        Raises:
            RunnerError: the model is closed, a value is missing or of another dtype than the graph's, or TensorFlow
                refuses the operators or the values.
        """
        self._check_open()
        chosen = [self.operators[place] for place in sorted(set(operators))]
        arrays = {name: np.asarray(array) for name, array in feeds.items()}
        values = needed(chosen, arrays, wanted, self.constants, self._dtype)
        read = {name for each in chosen for name in each.inputs if owner(name) in self._outside}
        values |= {name: self.constant(name) for name in sorted(read) if name not in values}
        try:
            return self._piece(chosen, sorted(values), tuple(dict.fromkeys(wanted))).run(values)
        except (self._tf.errors.OpError, ValueError, TypeError) as error:
            raise RunnerError(f"TensorFlow failed on operators of {self._path}: {one_line(error)}") from error

    def close(self) -> None:
        """Give back what is held. A second call does nothing."""
        self._closed = True
        while self._kept:
            self._kept.popitem()[1].close()

    def _piece(self, operators: Sequence[Operator], fed: Sequence[str], wanted: tuple[str, ...]) -> Piece:
        """Return what runs operators: the one that was made before, or a new one."""
        key = (tuple(each.name for each in operators), tuple(fed), wanted)
        if key not in self._kept:
            dtypes = {name: self._tf.as_dtype(self._dtype(name)) for name in fed}
            self._kept[key] = Piece(self._tf, self._source, key[0], dtypes, wanted, self._threads)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)[1].close()
        return self._kept[key]

    @cached_property
    def _outside(self) -> frozenset[str]:
        """The constants whose value is not in the graph that runs."""
        return self._source.missing | set(self._handles)

    def _variables(self) -> dict[str, Any]:
        """Return node that stands for a variable -> the node of its handle; a handle that is only read is left out."""
        nodes = self._source.nodes
        found = {
            name: nodes[owner(node.input[0])]
            for name, node in nodes.items()
            if node.op == READ and nodes[owner(node.input[0])].op == HANDLE
        }
        taken = {owner(tensor) for name, node in nodes.items() if name not in found for tensor in node.input}
        return found | {name: node for name, node in nodes.items() if node.op == HANDLE and name in taken}

    def _is_given(self, name: str) -> bool:
        """Return whether a node computes nothing: an input, a constant, a variable."""
        return self._source.nodes[name].op in {"Const", "Placeholder", HANDLE} or name in self._handles

    def _graph(self) -> Any:
        """Return the graph with placeholders for inputs, variables and large constants: it knows all shapes."""
        found = type(self._source.rest)()
        found.CopyFrom(self._source.rest)
        for name, node in self._source.nodes.items():
            empty = name in self._source.missing or (name in self._handles and node.op == READ)
            found.node.append(self._placeholder(name, node) if empty else node)
        graph = self._tf.Graph()
        with graph.as_default():
            self._tf.graph_util.import_graph_def(found, name="")
        return graph

    def _placeholder(self, name: str, node: Any) -> Any:
        said = self._handles[name].attr if name in self._handles else node.attr
        shape = said["value"].tensor.tensor_shape if node.op == "Const" else said["shape"].shape
        found = type(node)(name=name, op="Placeholder")
        found.attr["dtype"].type = said["dtype"].type
        found.attr["shape"].shape.CopyFrom(shape)
        return found

    def _operator(self, node: Any) -> Operator:
        outputs = self._shaped.get_operation_by_name(node.name).outputs
        return Operator(
            name=node.name,
            type=node.op,
            inputs=tuple(node.input),
            outputs=tuple("" if self._is_idle(each) else each.name for each in outputs),
            attributes=attributes(self._tf, node),
        )

    def _is_idle(self, tensor: Any) -> bool:
        """Return whether an output hands on the handle of a variable, and nobody takes it: a loop gives all it got."""
        return tensor.dtype.name in VALUELESS and not tensor.consumers()

    def _spec(self, name: str) -> TensorSpec:
        tensor = self._shaped.get_tensor_by_name(name)
        shape = [None] if tensor.shape.rank is None else tensor.shape.as_list()
        return spec_of(name, shape, tensor.dtype.name)

    def _constant_spec(self, name: str) -> TensorSpec:
        if name in self._handles:
            said = self._handles[name].attr
            shape, dtype = self._tf.TensorShape(said["shape"].shape), self._tf.as_dtype(said["dtype"].type).name
            return spec_of(f"{name}:0", [None] if shape.rank is None else shape.as_list(), dtype)
        return self._spec(f"{name}:0")

    def _dtype(self, name: str) -> str:
        return self.constants[name].dtype if name in self.constants else self._spec(name).dtype

    def _check_open(self) -> None:
        if self._closed:
            raise RunnerError(f"expected open pieces of {self._path}, found closed ones; open them again")


def open_saved_model(path: Path, threads: int) -> TensorFlowPieces:
    """Return the pieces of a SavedModel folder."""
    return TensorFlowPieces(path, threads, "saved_model")


def open_frozen_graph(path: Path, threads: int) -> TensorFlowPieces:
    """Return the pieces of a frozen graph."""
    return TensorFlowPieces(path, threads, "frozen_graph")
