"""What ONNX's shape inference refuses of a model: operands, attributes and sizes that an operator cannot have.

Every reader refuses such a model sooner or later, ONNX Runtime when it loads it, by the same code.
"""

import re
from collections.abc import Iterator
from typing import Final

import onnx

from lwmport import memory
from lwmport.targets.graphs.inference import COPIES, SHAPES
from lwmport.targets.graphs.record import MISFIT, Problem
from lwmport.targets.graphs.stand_ins import with_stand_ins

_NODE: Final = re.compile(r"\(op_type:([^,()]*)(?:, node name: (.*?))?\): (?:\[\w+\] )?(.*)")
"""A line of an error of inference: the operator, the name of the node if it has one, and what is wrong."""

_FOLLOWS: Final = re.compile(r"but instead is null|[Ii]nference error\(s\):|[Ii]nput \d+ has no type")
"""What is wrong because something before the node is, or inside of a function that ONNX itself has for an operator."""


def refusals(model: onnx.ModelProto) -> Iterator[Problem]:
    """Yield inputs without a type, and what inference says to each node that it refuses.

    The model has the shapes that follow already.
    """
    for value in model.graph.input:
        if value.type.WhichOneof("value") is None:
            yield Problem(kind=MISFIT, where=value.name, found="an input without a type")
    for operator, name, words in _NODE.findall(_refusal(model)):
        if not _FOLLOWS.search(words):
            yield Problem(kind=MISFIT, where=name, operator=operator, found=words)


def _refusal(model: onnx.ModelProto) -> str:
    """Return the text of the error, empty if there is none."""
    try:
        with memory.bounded(SHAPES + COPIES * model.ByteSize()):
            onnx.shape_inference.infer_shapes(with_stand_ins(model), strict_mode=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        return str(error)
    except (TypeError, MemoryError):
        return ""
    return ""
