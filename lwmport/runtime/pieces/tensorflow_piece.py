"""Some nodes of a TensorFlow graph as a graph of their own, with placeholders of any shape for what they are fed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from lwmport.runtime.pieces.tensorflow_nodes import functions_of, owner
from lwmport.runtime.pieces.tensorflow_source import Source
from lwmport.types import Array

HANDLE: Final = "VarHandleOp"
"""The operator that names a variable. Others read and write the variable by it."""


class Piece:
    """Some operators in a session of TensorFlow, whose optimiser and folding of constants are off.

    Args:
        tf: TensorFlow.
        source: the whole graph.
        operators: names of nodes.
        fed: tensors that are given -> their dtypes. That of a handle is the variable's, which is then made and set.
        wanted: tensors to return.
        threads: processors to use.
    """

    def __init__(
        self,
        tf: Any,
        source: Source,
        operators: Sequence[str],
        fed: Mapping[str, Any],
        wanted: Sequence[str],
        threads: int,
    ) -> None:
        self._tf, self._wanted = tf, wanted
        names = {tensor: f"fed/{number}" for number, tensor in enumerate(fed)}
        handles = [tensor for tensor in fed if source.nodes[owner(tensor)].op == HANDLE]
        definition = self._definition(source, operators, {name: names[name] for name in fed if name not in handles})
        graph = tf.Graph()
        with graph.as_default():
            self._places = {tensor: tf.compat.v1.placeholder(fed[tensor], None, names[tensor]) for tensor in fed}
            given = {names[tensor]: self._places[tensor] for tensor in fed if tensor not in handles}
            tf.graph_util.import_graph_def(definition, input_map=given, name="")
            made = {tensor: graph.get_tensor_by_name(tensor) for tensor in handles}
            self._set = [
                tf.raw_ops.AssignVariableOp(resource=handle, value=self._places[tensor])
                for tensor, handle in made.items()
            ]
            self._forget = [tf.raw_ops.DestroyResourceOp(resource=handle) for handle in made.values()]
        self._variables = handles
        self._session = tf.compat.v1.Session(graph=graph, config=self._config(threads))

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Return the tensors that are wanted, by name."""
        given = {self._places[tensor]: array for tensor, array in values.items() if tensor not in self._variables}
        if self._variables:
            self._session.run(self._set, {self._places[tensor]: values[tensor] for tensor in self._variables})
        found = self._session.run(list(self._wanted), given)
        if self._variables:
            self._session.run(self._forget)
        return {name: np.asarray(array) for name, array in zip(self._wanted, found, strict=True)}

    def close(self) -> None:
        """Give back what is held."""
        self._session.close()

    def _definition(self, source: Source, operators: Sequence[str], fed: Mapping[str, str]) -> Any:
        """Return the nodes with the small constants and the handles that they read; what is fed has other names."""
        read = {owner(tensor) for name in operators for tensor in source.nodes[name].input if tensor not in fed}
        chosen = [source.nodes[name] for name in dict.fromkeys((*sorted(read), *operators))]
        found = type(source.rest)(versions=source.rest.versions)
        found.library.function.extend(functions_of(chosen, source.rest.library.function))
        found.library.gradient.extend(source.rest.library.gradient)
        for node in chosen:
            new = found.node.add()
            new.CopyFrom(node)
            new.input[:] = [fed.get(tensor, tensor) for tensor in node.input]
            if node.op == HANDLE:  # variables without a name of their own would be one
                new.attr["shared_name"].s = node.name.encode()
        return found

    def _config(self, threads: int) -> Any:
        config = self._tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1, device_count={"GPU": 0}
        )
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = self._tf.compat.v1.OptimizerOptions.L0
        return config
