"""Exports of a small VQGAN's encoder and of a small language model by torch.onnx, and faults that are planted."""

import importlib
import json
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from test_foreign_exports import SMALL, by_torch, scripts

import lwmport
from lwmport.types import Array

LANGUAGE: Final = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip
"""A language model of two layers."""

Fault = Callable[[onnx.ModelProto], str]
"""Changes a model and returns the output of the operator at which it does."""


def small_config(folder: Path) -> Path:
    """Write the configuration of a VQGAN of two levels."""
    from lwmport.models.vqgan.config import CONFIGS

    path = folder / "small.json"
    path.write_text(json.dumps({**CONFIGS["debug"].to_json(), **SMALL}))
    return path


def torch_encoder(folder: Path) -> Path:
    """Export the encoder of a VQGAN of two levels."""
    pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[bench]'")
    return by_torch("encoder", small_config(folder), folder, 18)


def torch_language_model(ours: Path, folder: Path) -> Path:
    """Export the language model that was converted into the folder of ``ours``, as transformers has it."""
    for name in ("torch", "onnxscript", "transformers"):
        pytest.importorskip(name, reason=f"{name} is not installed; run: pip install 'lwmport[bench]'")
    lwmport.convert(component=ours.stem, format="hf", config=LANGUAGE, validate=False, out=folder / "hf")
    path = folder / "torch-language-model.onnx"
    with scripts(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        importlib.import_module("llama_torch").export(str(folder / "hf" / f"{ours.stem}.hf"), path)
    return path


def planted(model: Path, fault: Fault, path: Path) -> str:
    """Write a model with a fault; return the output of the operator that has it."""
    loaded = onnx.load(model)
    place = fault(loaded)
    onnx.save(loaded, path)
    return place


def nth(model: onnx.ModelProto, kind: str, number: int) -> onnx.NodeProto:
    """Return an operator of a type."""
    return [node for node in model.graph.node if node.op_type == kind][number]


def constant(model: onnx.ModelProto, name: str) -> Array:
    """Return the value of a constant."""
    return numpy_helper.to_array(next(item for item in model.graph.initializer if item.name == name))


def transposed_kernel(model: onnx.ModelProto) -> str:
    """Turn inputs and outputs of a square kernel."""
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    node = next(node for node in nodes[2:] if len({*constant(model, node.input[1]).shape[:2]}) == 1)
    _put(model, node, 1, constant(model, node.input[1]).swapaxes(0, 1))
    return str(node.output[0])


def missing_bias(model: onnx.ModelProto) -> str:
    """Leave out the bias of a convolution."""
    node = nth(model, "Conv", -2)
    del node.input[2]
    return str(node.output[0])


def doubled_bias(model: onnx.ModelProto) -> str:
    """Add the bias of a convolution twice."""
    node = nth(model, "Conv", -1)
    _put(model, node, 2, 2 * constant(model, node.input[2]))
    return str(node.output[0])


def wrong_epsilon(model: onnx.ModelProto) -> str:
    """Give one norm another epsilon."""
    node = nth(model, "InstanceNormalization", 2)
    kept = [item for item in node.attribute if item.name != "epsilon"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("epsilon", 1e-2)])
    return str(node.output[0])


def other_layer(model: onnx.ModelProto) -> str:
    """Read the weights of another layer, and lose its own."""
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    one, other = next(
        (one, other) for one in nodes[1:] for other in nodes[1:] if one is not other
        and constant(model, one.input[1]).shape == constant(model, other.input[1]).shape
    )  # fmt: skip
    one.input[1] = other.input[1]
    return str(one.output[0])


def other_weights(model: onnx.ModelProto) -> str:
    """Take weights that are none of the checkpoint."""
    node = nth(model, "Conv", 5)
    value = constant(model, node.input[1])
    _put(model, node, 1, np.random.default_rng(0).standard_normal(value.shape).astype(value.dtype) / 10)
    return str(node.output[0])


def swapped_inputs(model: onnx.ModelProto) -> str:
    """Let the inputs of a difference change places."""
    node = nth(model, "Sub", 0)
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return str(node.output[0])


def other_operator(model: onnx.ModelProto) -> str:
    """Compute tanh in place of a sigmoid."""
    node = nth(model, "Sigmoid", 1)
    node.op_type = "Tanh"
    return str(node.output[0])


def wrong_order(model: onnx.ModelProto) -> str:
    """Turn height and width of the picture."""
    node = nth(model, "Transpose", 0)
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("perm", [0, 3, 2, 1]))
    return str(node.output[0])


def fewer_groups(model: onnx.ModelProto, number: int = 1) -> str:
    """Give one norm half the groups: the shape in front of it, and as many ones and zeros."""
    norm = nth(model, "InstanceNormalization", number)
    reshape = next(node for node in model.graph.node if norm.input[0] in node.output)
    target = constant(model, reshape.input[1]).copy()
    target[1] //= 2
    _put(model, reshape, 1, target)
    for place in (1, 2):
        _put(model, norm, place, constant(model, norm.input[place])[: target[1]])
    return str(reshape.output[0])


def unbiased(model: onnx.ModelProto) -> str:
    """Let the variance of one norm be over one value less."""
    norm = nth(model, "InstanceNormalization", 2)
    _put(model, norm, 1, constant(model, norm.input[1]) * np.float32(0.9))
    return str(norm.output[0])


def zeroed_table(model: onnx.ModelProto) -> str:
    """Look up in a table of zeros."""
    node = nth(model, "Gather", -1)
    _put(model, node, 0, np.zeros_like(constant(model, node.input[0])))
    return str(node.output[0])


def other_sign(model: onnx.ModelProto) -> str:
    """Turn the sign of the one number that scales."""
    node = next(node for node in model.graph.node if node.op_type == "Mul" and _is_number(model, node.input[1]))
    _put(model, node, 1, -constant(model, node.input[1]))
    return str(node.output[0])


def _is_number(model: onnx.ModelProto, name: str) -> bool:
    return any(item.name == name and not item.dims for item in model.graph.initializer)


def wrong_strides(model: onnx.ModelProto) -> str:
    """Let a convolution skip every other place, so that its output has another size."""
    node = nth(model, "Conv", 2)
    kept = [item for item in node.attribute if item.name != "strides"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("strides", [2, 2])])
    return str(node.output[0])


def exchanged_kernels(model: onnx.ModelProto) -> str:
    """Exchange the kernels of two convolutions of which one reads what is made of the other."""
    shapes = {item.name: tuple(item.dims) for item in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "Conv" and shapes[node.input[1]][2:] == (3, 3)]
    alike = (pair for pair in pairwise(nodes[1:]) if len({shapes[node.input[1]] for node in pair}) == 1)
    one, other = next(alike)
    one.input[1], other.input[1] = other.input[1], one.input[1]
    return str(one.output[0])


def squared_gate(model: onnx.ModelProto) -> str:
    """Let the last product with a sigmoid read that twice."""
    gates = {node.output[0] for node in model.graph.node if node.op_type == "Sigmoid"}
    *_, node = (node for node in model.graph.node if node.op_type == "Mul" and gates & set(node.input))
    (gate,) = gates.intersection(node.input)
    node.input[:] = [gate, gate]
    return str(node.output[0])


FAULTS: Final[dict[str, tuple[Fault, bool]]] = {
    "transposed kernel": (transposed_kernel, True),
    "missing bias": (missing_bias, True),
    "doubled bias": (doubled_bias, True),
    "wrong epsilon": (wrong_epsilon, True),
    "weights of another layer": (other_layer, True),
    "weights of another checkpoint": (other_weights, True),
    "swapped inputs": (swapped_inputs, True),
    "another operator": (other_operator, True),
    "wrong order of axes": (wrong_order, True),
    "half the groups": (fewer_groups, True),
    "half the groups of the last norm": (partial(fewer_groups, number=-1), True),
    "gain of the unbiased variance": (unbiased, True),
    "table of zeros": (zeroed_table, True),
    "other sign": (other_sign, True),
    "wrong strides": (wrong_strides, True),
    "squared gate": (squared_gate, True),
    "exchanged kernels": (exchanged_kernels, True),
}
"""Name -> the fault, and whether a repair proves its place."""


def _put(model: onnx.ModelProto, node: onnx.NodeProto, place: int, value: Array) -> None:
    name = f"planted_{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    node.input[place] = name
