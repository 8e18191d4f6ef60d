"""What of a node its operator does not have: attributes of another type or value, and other numbers of operands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import onnx

from lwmport.targets.graphs.one_node import schema_of

KINDS: Final = {number: name.lower() for name, number in onnx.AttributeProto.AttributeType.items()}
"""Numbers of AttributeProto.AttributeType -> what messages call them."""


POSITIVE: Final = {
    "group": ("Conv", "ConvInteger", "ConvTranspose", "DeformConv", "QLinearConv"),
    "hidden_size": ("GRU", "LSTM", "RNN"),
    "num_groups": ("GroupNormalization",),
}
"""Attribute -> operators that divide by it: one of 0 ends the process of many a reader. Inference lets it pass."""

WORDS: Final = {"auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")}
"""Attribute -> the texts that every operator which has it takes. Inference lets others pass."""


@dataclass(frozen=True, kw_only=True)
class _Form:
    """What an operator takes: the number of each attribute's type, and how many operands and results, from and to."""

    attributes: Mapping[str, int]
    operands: tuple[int, int]
    results: tuple[int, int]


def is_misfit(node: onnx.NodeProto, item: onnx.AttributeProto, opset: int) -> bool:
    """Return whether an attribute has another type than its operator's of that name."""
    form = _form(node, opset)
    return form is not None and form.attributes.get(item.name, item.type) != item.type


def misfits(node: onnx.NodeProto, opset: int) -> Iterator[str]:
    """Yield what of a node of the default domain does not fit its operator, in words."""
    form = _form(node, opset)
    if form is None:
        return
    for item in node.attribute:
        if is_misfit(node, item, opset):
            wanted, found = (KINDS.get(kind, str(kind)) for kind in (form.attributes[item.name], item.type))
            yield f"the attribute {item.name} as {found}, where {wanted} is meant"
        elif item.i < 1 and node.op_type in POSITIVE.get(item.name, ()):
            yield f"{item.name} of {item.i}, where at least 1 is meant"
        elif item.name in WORDS and item.s.decode("utf-8", "replace") not in WORDS[item.name]:
            yield f"{item.name} of {item.s!r}, where {' or '.join(WORDS[item.name])} is meant"
    for what, names, (low, high) in (("operands", node.input, form.operands), ("results", node.output, form.results)):
        if not low <= len(names) <= high:
            yield f"{len(names):,} {what}, where {low if low == high else f'{low} to {high}'} are meant"


def _form(node: onnx.NodeProto, opset: int) -> _Form | None:
    return _known(node.op_type, opset) if node.domain in {"", "ai.onnx"} else None


@lru_cache(maxsize=4096)
def _known(operator: str, opset: int) -> _Form | None:
    schema = schema_of(operator, opset)
    if schema is None:
        return None
    return _Form(
        attributes={name: int(item.type.value) for name, item in schema.attributes.items()},
        operands=(schema.min_input, schema.max_input),
        results=(schema.min_output, schema.max_output),
    )
