"""Shapes of an ONNX model, with what can be computed before it runs, as far as it is small.

ONNX's own data propagation is not used: it makes one symbol for each element of a vector, and a few bytes can say that
there are 2 to the 40.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from lwmport import memory
from lwmport.errors import ArtifactError
from lwmport.targets.graphs.one_node import outputs_of
from lwmport.targets.graphs.record import product
from lwmport.targets.graphs.result_size import result_size
from lwmport.targets.graphs.stand_ins import with_stand_ins
from lwmport.types import Array

ROUNDS: Final = 200
"""Shapes that follow from values that follow from shapes: how often."""

EFFORT: Final = 2_000_000
"""Nodes that are looked at in all rounds together."""

BYTES: Final = 1 << 16
"""The largest value that is computed."""

ALL_BYTES: Final = 1 << 27
"""What all values together may have, those of small constants included."""

SHAPES: Final = 1 << 29
"""Bytes that inference may take beside `COPIES` of the skeleton: 97 bytes can say that a node has 2^31 outputs."""

COPIES: Final = 32
"""How many times a skeleton's bytes inference may take: a protocol buffer in memory is some ten times its file."""

FOLDED: Final = frozenset(
    {
        *("Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "ConstantOfShape", "Cos", "Div", "Equal", "Exp"),
        *("Expand", "Floor", "Gather", "GatherND", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual"),
        *("Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Range", "Reciprocal", "ReduceMax"),
        *("ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Shape", "Sin", "Size", "Slice", "Sqrt"),
        *("Squeeze", "Sub", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor"),
    }
)
"""Operators that are computed; each makes one output, whose size is known before it is made."""


NUMBERS: Final[Mapping[str, tuple[int, str, type]]] = {
    "value_float": (onnx.AttributeProto.FLOAT, "f", np.float32),
    "value_floats": (onnx.AttributeProto.FLOATS, "floats", np.float32),
    "value_int": (onnx.AttributeProto.INT, "i", np.int64),
    "value_ints": (onnx.AttributeProto.INTS, "ints", np.int64),
}
"""Attribute of a Constant that holds numbers -> its type, the field that they are in, and the dtype of the tensor."""


def settle(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return the model with the shapes that follow, and the values that nodes of its main graph make of constants.

    Raises:
        ArtifactError: the shapes take more memory than any model's.
    """
    try:
        with memory.bounded(SHAPES + COPIES * model.ByteSize()):
            return _settled(model)
    except MemoryError as error:
        raise ArtifactError(
            "expected a model whose shapes fit into memory, found a node of more outputs, or a value of more axes, "
            "than any model has"
        ) from error


def _settled(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Array]]:
    scratch = model
    known = _constants(model.graph)
    values: dict[str, Array] = {}
    inferred = _inferred(model)
    for _ in range(max(1, min(ROUNDS, EFFORT // max(len(model.graph.node), 1)))):
        found = _computed(inferred, known)
        if not found:
            break
        values |= found
        scratch = _with_values(scratch if scratch is not model else _copy(model), found)
        inferred = _inferred(scratch)
    return _typed(model, inferred, values), values


def _constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """Return the small constants of the main graph by name."""
    made = ((node.output[0], constant_of(node)) for node in graph.node if node.op_type == "Constant" and node.output)
    tensors = ((tensor.name, tensor) for tensor in graph.initializer)
    small = ((name, None if tensor is None else _small(tensor)) for name, tensor in (*tensors, *made))
    return {name: array for name, array in small if array is not None}


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with inferred shapes; as it is where inference fails, for a rule will say why."""
    try:
        return onnx.shape_inference.infer_shapes(with_stand_ins(model))
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError, TypeError):
        return model


def _computed(model: onnx.ModelProto, known: dict[str, Array]) -> dict[str, Array]:
    """Return the new values of nodes whose operands, or their sizes, are known; they are known themselves then.

    Types that follow from the new values are used at once: else each node of a chain would take an inference of all.
    """
    graph = model.graph
    types = {value.name: value.type for value in (*graph.input, *graph.value_info, *graph.output)}
    types |= {tensor.name: _type_of(tensor) for tensor in graph.initializer}
    ends = {output.name for output in graph.output}
    opset = next((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), 0)
    found: dict[str, Array] = {}
    left = ALL_BYTES - sum(array.nbytes for array in known.values())
    for node in graph.node:
        if node.domain not in {"", "ai.onnx"}:
            continue
        if found and any(name and not _is_settled(types.get(name)) for name in node.output):
            types |= outputs_of(node, types, known, opset)
        name = node.output[0] if len(node.output) == 1 and node.op_type in FOLDED else ""
        if not name or name in ends or name in known or _is_large(types.get(name)):
            continue
        shaped = node.op_type in {"Shape", "Size"}
        operand = types.get(node.input[0]) if shaped and node.input else None
        value = _shape_of(node, operand) if shaped else _run(node, known, opset)
        if value is not None and value.nbytes <= left:
            left -= value.nbytes
            found[name] = known[name] = value
    return found


def _type_of(tensor: onnx.TensorProto) -> onnx.TypeProto:
    return onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)


def _is_settled(kind: onnx.TypeProto | None) -> bool:
    return kind is not None and _sizes(kind) is not None


def _is_large(kind: onnx.TypeProto | None) -> bool:
    """Return whether a value has more bytes than are computed; one without known sizes may turn out smaller."""
    shape = None if kind is None else _sizes(kind)
    return shape is not None and product(shape) * 8 > BYTES


def constant_of(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """Return the tensor of a Constant node, None for one of texts, a sparse one, or an attribute of another type."""
    for item in node.attribute:
        if item.name == "value" and item.HasField("t"):
            found: onnx.TensorProto = item.t
            return found
        kind, field, dtype = NUMBERS.get(item.name, (None, "", np.int64))
        if item.type == kind:
            return onnx.numpy_helper.from_array(np.asarray(getattr(item, field), dtype))
    return None


def _small(tensor: onnx.TensorProto) -> Array | None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.ByteSize() > 2 * BYTES:
        return None
    if any(size < 0 for size in tensor.dims) or product(tensor.dims) * 8 > 8 * BYTES:
        return None
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _shape_of(node: onnx.NodeProto, operand: onnx.TypeProto | None) -> Array | None:
    shape = None if operand is None else _sizes(operand)
    if shape is None:
        return None
    if node.op_type == "Size":
        return np.asarray(product(shape), np.int64)
    ends = {item.name: item.i for item in node.attribute}
    return np.asarray(shape[ends.get("start", 0) : ends.get("end", len(shape))], np.int64)


def _run(node: onnx.NodeProto, known: Mapping[str, Array], opset: int) -> Array | None:
    """Return what ONNX's reference makes of a node, None where an operand is not known or it makes nothing of it."""
    names = [name for name in node.input if name]
    if not all(name in known for name in names):
        return None
    try:
        if result_size(node, [known[name] for name in names]) * 8 > BYTES:
            return None
        kinds = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(known[name].dtype), known[name].shape
            )
            for name in dict.fromkeys(names)
        ]
        graph = onnx.helper.make_graph([node], "one", kinds, [onnx.ValueInfoProto(name=node.output[0])])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
        found: Any = ReferenceEvaluator(model).run(None, {name: known[name] for name in names})
    except Exception:  # noqa: BLE001 - the reference raises whatever numpy does; the node then stays
        return None
    return np.asarray(found[0]) if isinstance(found[0], np.ndarray | np.generic) else None


def _with_values(model: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """Return the model with a Constant in place of each node that makes one of the values."""
    for node in model.graph.node:
        if len(node.output) == 1 and node.output[0] in values:
            tensor = onnx.numpy_helper.from_array(values[node.output[0]])
            node.CopyFrom(onnx.helper.make_node("Constant", [], list(node.output), value=tensor))
    return model


def _typed(model: onnx.ModelProto, inferred: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """Return the model with the types that were found on the way."""
    if inferred is model:
        return model
    found = _copy(model)
    del found.graph.value_info[:]
    found.graph.value_info.extend(value for value in inferred.graph.value_info if value.name not in values)
    found.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in values.items()
    )
    del found.graph.output[:]
    found.graph.output.extend(inferred.graph.output)
    return found


def _sizes(kind: onnx.TypeProto) -> tuple[int, ...] | None:
    tensor = kind.tensor_type
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return tuple(dim.dim_value for dim in tensor.shape.dim)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
