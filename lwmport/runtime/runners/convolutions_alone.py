"""An ONNX file cut, in memory, in front of and behind each convolution of integers, so that each runs alone.

The file is as it was. What goes into a convolution, and what the rest of the model goes on with, are inputs; what the
model brings to a convolution, and what that makes of its own input, are outputs. A difference that one of them makes is
then no difference of the next one.
"""

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import NodeProto, TensorProto, helper

from lwmport.errors import RunnerError
from lwmport.runtime.runners.ascend_pairs import with_pairs
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Rounded


def open_with_convolutions_alone(
    path: Path, context: RunnerContext, kernels: Mapping[str, Rounded]
) -> OnnxRuntimeRunner:
    """Return an ONNX file, ready to run, whose convolutions of integers run alone.

    Beside the model's own inputs and outputs there are, for each kernel, the inputs ``KERNEL/inputs`` and
    ``KERNEL/returned``, and the outputs ``KERNEL/reached`` and ``KERNEL/outputs``, all of them channels first.

    Args:
        path: the file.
        context: how it is run.
        kernels: of all convolutions of integers, and what each rounds.

    Raises:
        RunnerError: one is none in the file, or ONNX Runtime refuses it.
    """
    model = with_pairs(path)
    cut = _Cut(model.graph)
    for kernel, rounded in kernels.items():
        cut.alone(kernel, rounded)
    return OnnxRuntimeRunner(path, context.threads, model.SerializeToString())


class _Cut:
    """A graph at work, and who makes and reads its values."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._makers = {output: node for node in graph.node for output in node.output}
        self._convolutions = {kernel: node for node in graph.node if (kernel := self._kernel(node))}

    def alone(self, kernel: str, rounded: Rounded) -> None:
        """Cut the graph around one convolution."""
        convolution = self._convolutions.get(kernel)
        before = None if convolution is None else self._maker(convolution.input[0], "DequantizeLinear")
        first = None if before is None else self._maker(before.input[0], "QuantizeLinear")
        behind = convolution
        if convolution is not None and rounded.outputs is not None:
            behind = self._behind(convolution.output[0])
        if convolution is None or before is None or first is None or behind is None:
            raise RunnerError(
                f"expected a Conv of {kernel} behind or between QuantizeLinear and DequantizeLinear, found none"
            )
        self._feed(kernel, convolution, (first, before))
        self._take(kernel, behind)

    def _feed(self, kernel: str, convolution: NodeProto, pair: tuple[NodeProto, NodeProto]) -> None:
        """Give a convolution a pair of its own that rounds an input of the model."""
        self._graph.input.append(_value(f"{kernel}/inputs"))
        self._graph.output.append(_value(f"{kernel}/reached"))
        self._graph.node.append(helper.make_node("Identity", [pair[0].input[0]], [f"{kernel}/reached"]))
        source = f"{kernel}/inputs"
        place = list(self._graph.node).index(convolution)
        for step, node in enumerate(pair):
            own = NodeProto()
            own.CopyFrom(node)
            own.name, own.input[0], own.output[0] = f"{kernel}/pair{step}", source, f"{kernel}/rounded{step}"
            self._graph.node.insert(place + step, own)
            source = own.output[0]
        convolution.input[0] = source

    def _take(self, kernel: str, behind: NodeProto) -> None:
        """Make an output of what a convolution gives, and let all that read it read an input of the model."""
        self._graph.input.append(_value(f"{kernel}/returned"))
        self._graph.output.append(_value(f"{kernel}/outputs"))
        given = behind.output[0]
        for node in self._graph.node:
            for place, name in enumerate(node.input):
                if name == given:
                    node.input[place] = f"{kernel}/returned"
        if given in {value.name for value in self._graph.output}:
            self._graph.node.append(helper.make_node("Identity", [f"{kernel}/returned"], [given]))
        behind.output[0] = f"{kernel}/outputs"

    def _kernel(self, node: NodeProto) -> str:
        """Return the name of what is stored of a convolution's kernel; nothing for what is none of integers."""
        maker = self._maker(node.input[1], "DequantizeLinear") if node.op_type == "Conv" else None
        codes = None if maker is None else self._maker(maker.input[0], "QuantizeLinear")
        return "" if maker is None else (codes or maker).input[0]

    def _behind(self, value: str) -> NodeProto | None:
        """Return what makes numbers again of the codes of a value."""
        codes = self._reader(value, "QuantizeLinear")
        return None if codes is None else self._reader(codes.output[0], "DequantizeLinear")

    def _reader(self, value: str, op: str) -> NodeProto | None:
        return next((node for node in self._graph.node if node.op_type == op and node.input[0] == value), None)

    def _maker(self, value: str, op: str) -> NodeProto | None:
        found = self._makers.get(value)
        return found if found is not None and found.op_type == op else None


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4)
