"""Looks of MIGraphX's rules: what it does not read, refuses, or takes for something else."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from lwmport.targets.graphs.record import Node
from lwmport.targets.migraphx import operators
from lwmport.targets.rules import nodes
from lwmport.targets.rules.rule import Hit, Subject

REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("ArgMax", "select_last_index"): (1,),
    ("ArgMin", "select_last_index"): (1,),
    ("MaxPool", "storage_order"): (1,),
    ("Pad", "mode"): ("edge", "wrap"),
    ("ConvTranspose", "auto_pad"): ("SAME_UPPER", "SAME_LOWER", "VALID"),
    ("Reshape", "allowzero"): (1,),
    ("TopK", "sorted"): (0,),
}
"""(operator, attribute) -> values that MIGraphX's documents exclude."""


def unknown(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that MIGraphX reads no operator for."""
    return (Hit.at(node, "no such operator") for node in unread(subject))


def unread(subject: Subject) -> Iterable[Node]:
    """Return the nodes that MIGraphX reads no operator for."""
    functions = subject.graph.functions
    return [
        node
        for node in subject.graph.nodes
        if (node.domain, node.op) not in functions and operators.dtypes(node.op) is None
    ]


def more_than_ten_unread(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if ONNX Runtime's provider would give up on the whole graph."""
    count = len(list(unread(subject)))
    if count > 10:
        yield Hit(found=f"{count} nodes that MIGraphX does not take")


def refused_resizes(subject: Subject) -> Iterator[Hit]:
    """Yield Resize nodes that MIGraphX does not read."""
    for node in subject.graph.of("Resize"):
        coordinates, _ = nodes.modes_of(node)
        if node.attributes.get("mode") == "cubic":
            yield Hit.at(node, "cubic interpolation")
        if coordinates in {"half_pixel_symmetric", "tf_crop_and_resize"}:
            yield Hit.at(node, coordinates)
        ignored = any(node.attributes.get(name, usual) != usual for name, usual in nodes.RESIZE_IGNORED.items())
        if node.attributes.get("exclude_outside") or ignored:
            yield Hit.at(node, "exclude_outside, antialias, axes or keep_aspect_ratio_policy")


def refused_attributes(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes that MIGraphX's documents exclude."""
    yield from nodes.refused_values(subject, REFUSED)
    for node in subject.graph.of("MaxPool"):
        if len(node.outputs) > 1:
            yield Hit.at(node, "indices as a second output")


def other_meaning(subject: Subject) -> Iterator[Hit]:
    """Yield operators that MIGraphX takes for others of the same name."""
    for node in subject.graph.of("Attention", "RotaryEmbedding"):
        yield Hit.at(node, f"ONNX's {node.op}, which is read as com.microsoft's")


def scale_of_each_group(subject: Subject) -> Iterator[Hit]:
    """Yield GroupNormalization nodes of opset 18 to 20, whose scale has an element for each group."""
    if subject.graph.opset < 21:
        yield from (Hit.at(node, "a scale of each group") for node in subject.graph.of("GroupNormalization"))


def undocumented_dtypes(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with a first input of a dtype that MIGraphX does not document for the operator, each once."""
    seen = set()
    for node in subject.graph.nodes:
        known = operators.dtypes(node.op)
        dtype = subject.graph.dtype(node.input(1) if node.op == "Where" else node.input(0))
        plain = dtype.replace("bfloat16", "float16")
        if known and dtype and plain not in known and (node.op, dtype) not in seen:
            seen.add((node.op, dtype))
            yield Hit.at(node, f"{dtype}, where {', '.join(known)} are documented")
