"""The types of one node's outputs, from what is known of its operands, as a whole inference would find them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import onnx

from lwmport.types import Array

NEWEST: Final = 2**31 - 1
"""The largest opset that ONNX's own tables can be asked for; an operator is what its newest version says from there."""


def outputs_of(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], known: Mapping[str, Array], opset: int
) -> Mapping[str, onnx.TypeProto]:
    """Return the types of a node's outputs, none where an operand has no type or ONNX cannot tell.

    ``known`` are the values of operands; those of bodies are not looked into.
    """
    names = [name for name in node.input if name]
    schema = schema_of(node.op_type, opset)
    if schema is None or not all(name in types for name in names) or any(_has_body(item) for item in node.attribute):
        return {}
    own = {name: types[name] for name in names}
    data = {name: onnx.numpy_helper.from_array(known[name]) for name in names if name in known}
    opsets = [onnx.helper.make_opsetid("", opset)]
    try:
        return dict(onnx.shape_inference.infer_node_outputs(schema, node, own, data, opset_imports=opsets))
    except Exception:  # noqa: BLE001 - ONNX raises whatever its checks and protocol buffers do; nothing is known then
        return {}


@lru_cache(maxsize=4096)
def schema_of(operator: str, opset: int, domain: str = "") -> Any:
    """Return ONNX's record of an operator at an opset, None if there is none."""
    try:
        return onnx.defs.get_schema(operator, min(max(opset, 0), NEWEST), domain)
    except onnx.defs.SchemaError:
        return None


def _has_body(item: onnx.AttributeProto) -> bool:
    return item.HasField("g") or bool(item.graphs)
