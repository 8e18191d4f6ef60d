"""Pieces of a SavedModel and of a frozen graph: TensorFlow runs what lies between values that are fed and wanted."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from lwmport.errors import PortError, RunnerError, one_line
from lwmport.extras import require
from lwmport.runtime.inputs import spec_of
from lwmport.runtime.pieces.given import needed
from lwmport.runtime.pieces.spec import Operator
from lwmport.runtime.pieces.tensorflow_file import Source, read_frozen, read_saved
from lwmport.runtime.pieces.tensorflow_nodes import owner
from lwmport.runtime.runners.tensorflow import set_threads
from lwmport.types import Array, TensorSpec

SIGNATURES: Final = 256
"""Sets of operators that a session of TensorFlow keeps, all that it ran; then a new session takes its place."""

HANDLE: Final = "VarHandleOp"
READ: Final = "ReadVariableOp"


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
        public: both together. Where an input and an output have one name, it is the input's.

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
            self._source: Source = (read_saved if form == "saved_model" else read_frozen)(self._tf, path)
            self._handles = self._variables()
            self._shaped = self._graph(shaped=True)
        except PortError:
            raise
        except Exception as error:  # readers of protocol buffers, of files and of graphs raise unrelated types
            raise RunnerError(f"TensorFlow refused {path}: {one_line(error)}") from error
        self.public_inputs, self.public_outputs = self._source.inputs, self._source.outputs
        self.public = MappingProxyType({**self.public_outputs, **self.public_inputs})
        self._session: _Session | None = None
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
        if self._session is None or self._session.ran >= SIGNATURES:
            self._end_session()
            self._session = _Session(self._tf, self._graph(shaped=False), self._threads)
        handles = {name: values.pop(name) for name in sorted(values) if self._node(name).op == HANDLE}
        try:
            return self._session.run(values, handles, list(dict.fromkeys(wanted)))
        except (self._tf.errors.OpError, ValueError, TypeError) as error:
            raise RunnerError(f"TensorFlow failed on operators of {self._path}: {one_line(error)}") from error

    def close(self) -> None:
        """Give back what is held. A second call does nothing."""
        self._closed = True
        self._end_session()

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

    def _graph(self, *, shaped: bool) -> Any:
        """Return the graph, with placeholders for values that are fed: of their shapes, or of any."""
        found = type(self._source.rest)()
        found.CopyFrom(self._source.rest)
        for name, node in self._source.nodes.items():
            fed = (
                name in self._source.missing or node.op == "Placeholder" or (node.op == READ and name in self._handles)
            )
            found.node.append(self._placeholder(name, node, shaped=shaped) if fed else node)
        graph = self._tf.Graph()
        with graph.as_default():
            self._tf.graph_util.import_graph_def(found, name="")
        return graph

    def _placeholder(self, name: str, node: Any, *, shaped: bool) -> Any:
        found = type(node)(name=name, op="Placeholder")
        attributes = self._handles[name].attr if name in self._handles else node.attr
        found.attr["dtype"].type = attributes["dtype"].type
        if shaped and node.op == "Const":
            found.attr["shape"].shape.CopyFrom(attributes["value"].tensor.tensor_shape)
        elif shaped and "shape" in attributes:
            found.attr["shape"].shape.CopyFrom(attributes["shape"].shape)
        else:
            found.attr["shape"].shape.unknown_rank = True
        return found

    def _operator(self, node: Any) -> Operator:
        outputs = self._shaped.get_operation_by_name(node.name).outputs
        return Operator(
            name=node.name,
            type=node.op,
            inputs=tuple(node.input),
            outputs=tuple(each.name for each in outputs),
            attributes={
                name: _plain(self._tf, value) for name, value in sorted(node.attr.items()) if not name.startswith("_")
            },
        )

    def _spec(self, name: str) -> TensorSpec:
        tensor = self._shaped.get_tensor_by_name(name)
        shape = [None] if tensor.shape.rank is None else tensor.shape.as_list()
        return spec_of(name, shape, tensor.dtype.name)

    def _constant_spec(self, name: str) -> TensorSpec:
        if name in self._handles:
            attributes = self._handles[name].attr
            shape = self._tf.TensorShape(attributes["shape"].shape)
            dtype = self._tf.as_dtype(attributes["dtype"].type).name
            return spec_of(f"{name}:0", [None] if shape.rank is None else shape.as_list(), dtype)
        return self._spec(f"{name}:0")

    def _dtype(self, name: str) -> str:
        return self.constants[name].dtype if name in self.constants else self._spec(name).dtype

    def _node(self, name: str) -> Any:
        return self._source.nodes[owner(name)]

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _check_open(self) -> None:
        if self._closed:
            raise RunnerError(f"expected open pieces of {self._path}, found closed ones; open them again")


class _Session:
    """A session of TensorFlow that computes as the graph says, and counts what it keeps."""

    def __init__(self, tf: Any, graph: Any, threads: int) -> None:
        self._tf, self._graph = tf, graph
        self._seen: set[Any] = set()
        self._assigned: dict[str, tuple[Any, Any, Any]] = {}
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1, device_count={"GPU": 0}
        )
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
        self._session = tf.compat.v1.Session(graph=graph, config=config)

    @property
    def ran(self) -> int:
        """How many different sets of operators ran."""
        return len(self._seen)

    def run(
        self, values: Mapping[str, Array], variables: Mapping[str, Array], wanted: Sequence[str]
    ) -> dict[str, Array]:
        """Return tensors, computed of values of tensors and of variables, both by name."""
        self._seen.add((tuple(sorted(values)), tuple(variables), tuple(wanted)))
        made = [self._variable(name) for name in variables]
        for (value, assign, _), array in zip(made, variables.values(), strict=True):
            self._session.run(assign, {value: array})
        try:
            found = self._session.run(list(wanted), dict(values))
        finally:
            self._session.run([destroy for _, _, destroy in made])
        return {name: np.asarray(array) for name, array in zip(wanted, found, strict=True)}

    def close(self) -> None:
        """Give back what is held."""
        self._session.close()

    def _variable(self, name: str) -> tuple[Any, Any, Any]:
        """Return what gives a variable a value: a placeholder, and the operations that set and that forget it."""
        if name not in self._assigned:
            handle = self._graph.get_tensor_by_name(name)
            with self._graph.as_default():
                value = self._tf.compat.v1.placeholder(handle.op.get_attr("dtype"), None)
                assign = self._tf.raw_ops.AssignVariableOp(resource=handle, value=value)
                self._assigned[name] = value, assign, self._tf.raw_ops.DestroyResourceOp(resource=handle)
        return self._assigned[name]


def open_saved_model(path: Path, threads: int) -> TensorFlowPieces:
    """Return the pieces of a SavedModel folder."""
    return TensorFlowPieces(path, threads, "saved_model")


def open_frozen_graph(path: Path, threads: int) -> TensorFlowPieces:
    """Return the pieces of a frozen graph."""
    return TensorFlowPieces(path, threads, "frozen_graph")


def _plain(tf: Any, value: Any) -> Any:
    """Return an attribute of a node as a number, a text, an array or a list of such; a function as its name."""
    kind = value.WhichOneof("value")
    if kind == "list":
        return [_plain_item(tf, field.name, each) for field, many in value.list.ListFields() for each in many]
    return _plain_item(tf, kind, getattr(value, kind)) if kind else ""


def _plain_item(tf: Any, kind: str, value: Any) -> Any:
    if kind == "type":
        return tf.as_dtype(value).name
    if kind == "shape":
        shape = tf.TensorShape(value)
        return "?" if shape.rank is None else [-1 if size is None else size for size in shape.as_list()]
    if kind == "s":
        return value.decode("utf-8", "replace")
    if kind == "func":
        return value.name
    if kind == "tensor":
        return tf.make_ndarray(value)
    return value
