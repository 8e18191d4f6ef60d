"""Operators that a target does not have, written as those that it has; and functions, inlined."""

from typing import Final

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

from lwmport.errors import one_line
from lwmport.targets.fix.draft import Draft, attribute
from lwmport.targets.fix.fixes import Refuses
from lwmport.targets.graphs.inference import settle
from lwmport.types import dtype_of

UNABLE: Final = (RuntimeError, ValueError, TypeError, onnx.checker.ValidationError, DecodeError)
"""What ONNX's inliner raises where it can make nothing of a function."""

ROUNDS: Final = 8
"""Bodies of functions may hold functions; none is nested deeper than this in ONNX."""


def inline_functions(draft: Draft) -> None:
    """Inline the functions that the model carries."""
    if draft.model.functions:
        names = ", ".join(sorted({f"{function.domain}.{function.name}" for function in draft.model.functions}))
        try:
            draft.model = onnx.inliner.inline_local_functions(draft.model)
        except UNABLE as error:
            draft.changed(f"left the functions {names}: ONNX's inliner refuses them ({one_line(error)[:100]})")
        else:
            draft.changed(f"inlined {names}")


def decompose(draft: Draft, refuses: Refuses, opset: int) -> None:  # noqa: C901 - two kinds of rewrites
    """Write operators that a target refuses at ``opset`` as what ONNX defines them by; group norm as CANN fuses it."""
    counts: dict[str, int] = {}
    left: dict[str, str] = {}

    def group_norms(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "GroupNormalization" or node.domain or not refuses(node.op_type, opset):
            return None
        counts["GroupNormalization"] = counts.get("GroupNormalization", 0) + 1
        return _group_norm(draft, graph, node)

    draft.rewrite(group_norms)
    for _ in range(ROUNDS):
        found = {
            node.op_type
            for graph in draft.bodies()
            for node in graph.node
            if not node.domain
            and node.op_type not in left
            and refuses(node.op_type, opset)
            and _has_body(node.op_type, draft.opset)
        }
        if not found:
            break
        for graph in draft.bodies():
            for node in graph.node:
                if not node.domain and node.op_type in found:
                    _spell_out(node, draft.opset)
        for name in sorted(found):
            number = sum(node.op_type == name and not node.domain for graph in draft.bodies() for node in graph.node)
            try:
                draft.model = onnx.inliner.inline_selected_functions(
                    _typed(draft), [("", name)], inline_schema_functions=True
                )
            except UNABLE as error:
                left[name] = one_line(error)
                continue
            counts[name] = counts.get(name, 0) + number
            draft.changed()
    if left:
        draft.changed(f"left {', '.join(left)}: ONNX's inliner refuses ({next(iter(left.values()))[:100]})")
    if counts:
        shown = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        draft.changed(f"wrote {shown} as plain operators")


def _spell_out(node: onnx.NodeProto, opset: int) -> None:
    """Write down the attributes that a node leaves out: the inliner puts no default in their place."""
    given = {item.name for item in node.attribute}
    for name, known in onnx.defs.get_schema(node.op_type, opset).attributes.items():
        if name not in given and known.default_value.type != onnx.AttributeProto.UNDEFINED:
            node.attribute.append(known.default_value)


def _typed(draft: Draft) -> onnx.ModelProto:
    """Return the model with the type of every value: the inliner asks for those of initializers too."""
    typed, _ = settle(draft.model)
    known = {value.name for value in (*typed.graph.value_info, *typed.graph.input)}
    # An operand that is left out in the middle has a name for the inliner too, and a name without a type is an error.
    typed.graph.value_info.append(onnx.helper.make_tensor_value_info("", onnx.TensorProto.FLOAT, None))
    typed.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in draft.model.graph.initializer
        if tensor.name not in known
    )
    return typed


def _has_body(operator: str, opset: int) -> bool:
    try:
        schema = onnx.defs.get_schema(operator, opset)
    except onnx.defs.SchemaError:
        return False
    return any(getattr(schema, kind) for kind in ("has_function", "has_context_dependent_function"))


def _group_norm(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return InstanceNormalization over [batch, groups, rest], then scale and bias: what CANN fuses to a group norm."""
    x, scale, bias = node.input
    groups = int(attribute(node, "num_groups"))
    epsilon = float(attribute(node, "epsilon", 1e-5))
    hint = node.name or node.output[0]
    shape = draft.graph.shape(x)
    element = dtype_of(draft.graph.dtype(x) or "float32")
    made = []

    def emit(operator: str, *inputs: str) -> str:
        name = draft.fresh(f"{hint}/{operator}")
        made.append(onnx.helper.make_node(operator, list(inputs), [f"{name}:0"], name))
        if operator == "InstanceNormalization":
            made[-1].attribute.append(onnx.helper.make_attribute("epsilon", epsilon))
        return f"{name}:0"

    def ints(*values: int) -> str:
        return draft.new_constant(graph, np.asarray(values, np.int64), f"{hint}/shape")

    last = shape[-1] if shape is not None and len(shape) == 4 and isinstance(shape[-1], int) else None
    grouped = emit("Reshape", x, ints(0, groups, -1, *([last] if last else [])))
    if draft.opset < 21:  # there are as many scales as groups then
        normal = emit("InstanceNormalization", grouped, scale, bias)
    else:
        ones = draft.new_constant(graph, np.ones(groups, element), f"{hint}/ones")
        zeros = draft.new_constant(graph, np.zeros(groups, element), f"{hint}/zeros")
        normal = emit("InstanceNormalization", grouped, ones, zeros)
    static = shape is not None and all(isinstance(dim, int) for dim in shape[1:])
    target = ints(0, *(int(dim) for dim in (shape or ())[1:])) if static else emit("Shape", x)
    whole = emit("Reshape", normal, target)
    if draft.opset >= 21:
        spread = ints(-1, *[1] * (len(shape) - 2 if shape is not None else 2))
        whole = emit("Mul", whole, emit("Reshape", scale, spread))
        whole = emit("Add", whole, emit("Reshape", bias, spread))
    made[-1].output[0] = node.output[0]
    return made
