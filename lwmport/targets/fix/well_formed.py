"""Nodes that are what their operators say, asked once before a model is mended: the passes then need not ask."""

import onnx

from lwmport.errors import ArtifactError
from lwmport.targets.fix.draft import Draft
from lwmport.targets.graphs.one_node import NEWEST, schema_of
from lwmport.wording import shown


def check_nodes(draft: Draft) -> None:
    """Return if every node of the default domain has as many operands and results as its operator, and its attributes.

    Raises:
        ArtifactError: one has not; no runtime takes the model.
    """
    for graph in draft.bodies():
        for node in graph.node:
            schema = schema_of(node.op_type, draft.opset or NEWEST) if node.domain in {"", "ai.onnx"} else None
            if schema is None:
                continue
            fault = (
                _count("input", len(node.input), schema.min_input, schema.max_input)
                or _count("output", len(node.output), schema.min_output, schema.max_output)
                or _attribute(node, schema.attributes)
            )
            if fault:
                name = shown(node.name or next(iter(node.output), ""))
                raise ArtifactError(f"{draft.path}: expected {shown(node.op_type)} {name} with {fault}; it is damaged")


def _count(what: str, found: int, least: int, most: int) -> str:
    if least <= found <= most:
        return ""
    wanted = f"{least}" if least == most else f"{least} or more" if most >= 2**31 - 1 else f"{least} to {most}"
    return f"{wanted} {what}s, found {found}"


def _attribute(node: onnx.NodeProto, known: object) -> str:
    for item in node.attribute:
        wanted = known.get(item.name) if isinstance(known, dict) else None
        if wanted is not None and not item.ref_attr_name and item.type != wanted.type.value:
            kinds = onnx.AttributeProto.AttributeType
            found = kinds.Name(item.type) if item.type in kinds.values() else str(item.type)
            return f"the attribute {shown(item.name)} as {kinds.Name(wanted.type.value)}, found {found}"
    for name, wanted in known.items() if isinstance(known, dict) else ():
        if wanted.required and name not in {item.name for item in node.attribute}:
            return f"the attribute {name}, found none"
    return ""
