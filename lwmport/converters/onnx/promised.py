"""The model that `convert` would write, without its values: they are made one at a time, when they are asked for."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import onnx
import onnx_ir as ir

from lwmport.converters.onnx.convert import PRODUCER, build
from lwmport.converters.onnx.writer import model_of
from lwmport.graphs.program import Program
from lwmport.types import Array, Dialect, TensorSpec, Weights


class Promised(NamedTuple):
    """A model whose graph lacks the values of its constants, what they are, and what makes one."""

    model: onnx.ModelProto
    constants: Mapping[str, TensorSpec]
    read: Callable[[str], Array]
    sources: Mapping[str, str]
    """Constant -> the weight of the checkpoint that it is made of."""


def promised(program: Program, weights: Weights, dialect: Dialect) -> Promised:
    """Return the model of a program in a dialect; no weight is read.

    Raises:
        LoweringError: the program holds an operation that the dialect cannot express.
    """
    graph, inputs, outputs = build(program, weights, dialect)
    items = dict(graph.initializers)
    specs = {name: TensorSpec(name=name, shape=item.shape, dtype=item.dtype.name) for name, item in items.items()}
    graph.initializers.clear()
    model = ir.to_proto(model_of(graph, inputs, outputs, PRODUCER))
    sources = {name: item.source for name, item in items.items() if item.source}
    return Promised(model, specs, lambda name: items[name].whole(), sources)
