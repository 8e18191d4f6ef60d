"""TensorFlow on the CPU: a SavedModel folder, or a frozen graph."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.errors import RunnerError, one_line
from lwmport.extras import require
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.inputs import spec_of
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, TensorSpec

SIGNATURE: Final = "serving_default"

_Specs: TypeAlias = dict[str, Any]
"""Name of an input or output -> TensorFlow's record of it."""

_Loaded: TypeAlias = tuple[_Specs, _Specs, Callable[[dict[str, Any]], dict[str, Any]]]
"""Inputs, outputs, and a function from the ones to the others, by name."""


class TensorFlowRunner(BaseRunner):
    """Runs one model: a folder is a SavedModel, a file a frozen graph.

    A frozen graph has no signature: its placeholders are the inputs, and the nodes that nobody reads are the outputs.

    Raises:
        RunnerError: TensorFlow refuses the model, or already runs with other threads than these.
        MissingExtraError: TensorFlow is not installed.
    """

    name = "TensorFlow"

    def __init__(self, path: Path, threads: int) -> None:
        self._tf = require("tensorflow")
        set_threads(self._tf.config.threading, threads)
        try:
            inputs, outputs, self._call = (_saved_model if path.is_dir() else _frozen_graph)(self._tf, path)
        except Exception as error:  # readers of protocol buffers, of files and of graphs raise unrelated types
            raise RunnerError(f"TensorFlow refused {path}: {one_line(error)}") from error
        self.inputs, self.outputs = _own(inputs), _own(outputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            outputs = self._call({name: self._tf.constant(array) for name, array in inputs.items()})
        except self._tf.errors.OpError as error:
            raise RunnerError(f"TensorFlow failed on the inputs: {one_line(error)}") from error
        return {name: np.asarray(value) for name, value in outputs.items()}

    def _release(self) -> None:
        del self._call


def open_model(path: Path, context: RunnerContext) -> TensorFlowRunner:
    """Return a SavedModel folder or a frozen graph, ready to run."""
    return TensorFlowRunner(path, context.threads)


def _own(specs: _Specs) -> tuple[TensorSpec, ...]:
    """Return our records; a shape of an unknown number of axes is told as one unknown size."""
    return tuple(
        spec_of(name, [None] if spec.shape.rank is None else spec.shape.as_list(), spec.dtype.name)
        for name, spec in specs.items()
    )


def _saved_model(tf: Any, path: Path) -> _Loaded:
    model = tf.saved_model.load(str(path))
    function = model.signatures[SIGNATURE]
    inputs = {spec.name: spec for spec in function.structured_input_signature[1].values()}
    # The function holds its variables weakly: the model has to live as long as what calls it.
    return inputs, dict(function.structured_outputs), lambda given, _model=model: function(**given)


def _frozen_graph(tf: Any, path: Path) -> _Loaded:
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    inputs = [node.name for node in graph.node if node.op == "Placeholder"]
    read = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    outputs = [node.name for node in graph.node if node.name not in read]
    if not inputs or not outputs:
        raise ValueError("expected a graph with placeholders, found none")
    whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    tensors = {name: whole.graph.get_tensor_by_name(f"{name}:0") for name in (*inputs, *outputs)}
    function = whole.prune([tensors[name] for name in inputs], {name: tensors[name] for name in outputs})
    specs = [{name: tensors[name] for name in names} for names in (inputs, outputs)]
    return specs[0], specs[1], lambda given: function(*(given[name] for name in inputs))


def set_threads(config: Any, threads: int) -> None:
    """Set how many threads work inside of an operator. It is a setting of the process, made before the first one runs.

    Raises:
        RunnerError: TensorFlow is at work already, with other threads.
    """
    try:
        config.set_intra_op_parallelism_threads(threads)
        config.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        found = config.get_intra_op_parallelism_threads() or len(os.sched_getaffinity(0))
        if found != threads:
            raise RunnerError(
                f"expected TensorFlow with {threads} threads, found it at work with {found}, which is settled once in "
                f"a process: start a new one"
            ) from error
