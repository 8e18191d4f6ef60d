"""AscendQuant and AscendDequant as the pairs that they stand for, in memory: what ONNX Runtime has no operators of.

AscendQuant, Conv of int8 with a bias of int32, and AscendDequant are documented as

    codes = clip(round(x * scale + offset), -128, 127)
    y     = (sum((codes - offset) * weights) + bias) * deq_scale

ATC takes the offset out of bias and padding, and AMCT's own model for ONNX Runtime (``fake_quant``) computes the same.
It is written here as QuantizeLinear and DequantizeLinear of what goes in, of weights and of the bias, whose steps have
the scales of the file: products of those are the sums times ``deq_scale``. What is unclear is refused.

Sources: hicann/ge, quantization.md of the guide to graphs (both formulas, the high half of deq_scale is 0);
hicann/amct, optimizer/replace_{quant,dequant,bias_quant}_pass.py (the same model for ONNX Runtime); hicann/ops-nn, the
plugins (attributes and their defaults).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from lwmport.errors import RunnerError
from lwmport.runtime.pieces.onnx import read_tensor
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array

QUANT: Final = "AscendQuant"
DEQUANT: Final = "AscendDequant"
NOTE: Final = "AscendQuant and AscendDequant as the pairs that they stand for"

LOW: Final = np.uint64(0xFFFFFFFF)
"""The bits of deq_scale that hold a float32; the others are zero points of weights, or unknown."""

TAKEN: Final[Mapping[str, Mapping[str, Any]]] = {
    QUANT: {"dst_type": (b"INT8",), "round_mode": (b"Round",), "sqrt_mode": (0,)},
    DEQUANT: {"dtype": (0,), "sqrt_mode": (0,), "relu_flag": (0,)},
}
"""Operator -> attribute -> the values whose meaning is known here; left out it means the first."""


def open_model(path: Path, context: RunnerContext) -> OnnxRuntimeRunner:
    """Return an ONNX file, ready to run, with pairs in place of CANN's operators.

    Raises:
        RunnerError: one of those is not understood, or ONNX Runtime refuses the file.
    """
    runner = OnnxRuntimeRunner(path, context.threads, with_pairs(path).SerializeToString())
    runner.name = f"{runner.name}, {NOTE}"
    return runner


def with_pairs(path: Path) -> onnx.ModelProto:
    """Return a model without its weights, with pairs in place of CANN's operators; one that has none as it is.

    Raises:
        RunnerError: one of them is not understood.
    """
    model = onnx.load(path, load_external_data=False)
    if any(node.op_type in TAKEN for node in model.graph.node):
        _Rewriting(model.graph, path.parent).run()
    return model


class _Rewriting:
    """A graph at work, and who makes its values."""

    def __init__(self, graph: onnx.GraphProto, folder: Path) -> None:
        self._graph, self._folder = graph, folder
        self._makers = {name: node for node in graph.node for name in node.output}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def run(self) -> None:
        """Write every node of CANN's as plain ones."""
        made: list[NodeProto] = []
        for node in self._graph.node:
            _check_attributes(node)
            if node.op_type == QUANT:
                made.extend(self._pair(node))
            elif node.op_type == "Conv" and self._is_of_codes(node):
                made.extend(self._convolution(node))
            elif node.op_type != DEQUANT:
                made.append(node)
            elif not self._is_of_codes(self._makers.get(node.input[0])):
                raise RunnerError(f"expected a Conv of codes in front of {_place(node)}, found none")
        changed = {name for node in self._graph.node if node.op_type == QUANT for name in node.output}
        changed |= {node.input[0] for node in self._graph.node if node.op_type == DEQUANT}
        kept = [value for value in self._graph.value_info if value.name not in changed]
        del self._graph.node[:], self._graph.value_info[:]
        self._graph.node.extend(made)
        self._graph.value_info.extend(kept)

    def _is_of_codes(self, node: NodeProto | None) -> bool:
        maker = None if node is None or node.op_type != "Conv" else self._makers.get(node.input[0])
        return maker is not None and maker.op_type == QUANT

    def _pair(self, node: NodeProto) -> Iterator[NodeProto]:
        (codes,) = node.output
        others = [reader.op_type for reader in self._readers.get(codes, []) if not self._is_of_codes(reader)]
        if others:
            raise RunnerError(f"expected Conv alone behind {_place(node)}, found {others[0]}")
        scale, offset = _scale_and_offset(node)
        grid = [
            self._constant(f"{codes}/scale", np.asarray(np.float32(1) / scale)),
            self._constant(f"{codes}/offset", np.asarray(offset)),
        ]
        yield helper.make_node("QuantizeLinear", [node.input[0], *grid], [f"{codes}/codes"], name=f"{codes}/quantize")
        yield helper.make_node("DequantizeLinear", [f"{codes}/codes", *grid], [codes], name=f"{codes}/restore")

    def _convolution(self, node: NodeProto) -> Iterator[NodeProto]:
        """Yield a Conv of pairs, which gives what AscendDequant would."""
        (sums,) = node.output
        readers = self._readers.get(sums, [])
        if len(readers) != 1 or readers[0].op_type != DEQUANT:
            raise RunnerError(f"expected {DEQUANT} alone behind {_place(node)}, found {len(readers)} other readers")
        (dequant,) = readers
        scale, _ = _scale_and_offset(self._makers[node.input[0]])
        weights = self._stored(node, 1, np.int8)
        steps = self._deq_scale(dequant, len(weights))
        own = NodeProto()
        own.CopyFrom(node)
        own.output[0] = dequant.output[0]
        own.input[1] = f"{sums}/weights"
        factors = self._constant(f"{sums}/weight_scale", steps * scale)
        yield helper.make_node("DequantizeLinear", [node.input[1], factors], [own.input[1]], axis=0, name=own.input[1])
        if len(node.input) > 2 and node.input[2]:
            self._stored(node, 2, np.int32)
            own.input[2] = f"{sums}/bias"
            whole = self._constant(f"{sums}/bias_scale", steps)
            yield helper.make_node(
                "DequantizeLinear", [node.input[2], whole], [own.input[2]], axis=0, name=own.input[2]
            )
        yield own

    def _deq_scale(self, dequant: NodeProto, channels: int) -> Array:
        """Return what AscendDequant multiplies with, float32 [channels]."""
        found = self._stored(dequant, 1, np.uint64).reshape(-1)
        if (found & ~LOW).any():
            raise RunnerError(f"expected deq_scale with a high half of 0 at {_place(dequant)}, found other bits in it")
        if found.size not in {1, channels}:
            raise RunnerError(f"expected 1 or {channels} numbers in deq_scale of {_place(dequant)}, found {found.size}")
        scales = (found & LOW).astype(np.uint32).view(np.float32)
        return np.broadcast_to(scales, channels).copy()

    def _stored(self, node: NodeProto, place: int, dtype: type) -> Array:
        name = node.input[place]
        if name not in self._tensors:
            raise RunnerError(f"expected a constant as operand {place} of {_place(node)}, found {name}")
        value = read_tensor(self._tensors[name], self._folder)
        if value.dtype != dtype:
            raise RunnerError(f"expected {np.dtype(dtype)} as operand {place} of {_place(node)}, found {value.dtype}")
        return value

    def _constant(self, name: str, value: Array) -> str:
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def _check_attributes(node: NodeProto) -> None:
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    for name, taken in TAKEN.get(node.op_type, {}).items():
        if given.get(name, taken[0]) not in taken:
            raise RunnerError(
                f"expected {name} {taken[0]!r} of {_place(node)}, found {given[name]!r}; run it on the NPU"
            )


def _scale_and_offset(node: NodeProto) -> tuple[Any, Any]:
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    scale, offset = np.float32(given.get("scale", 0)), given.get("offset", 0.0)
    if not np.isfinite(scale) or scale <= 0:
        raise RunnerError(f"expected a scale above 0 of {_place(node)}, found {scale}")
    if offset != np.rint(offset) or not -128 <= offset <= 127:
        raise RunnerError(f"expected an offset that is a code from -128 to 127 of {_place(node)}, found {offset}")
    return scale, np.int8(offset)


def _place(node: NodeProto) -> str:
    return f"{node.op_type} {node.name or next(iter(node.output), '')}"
