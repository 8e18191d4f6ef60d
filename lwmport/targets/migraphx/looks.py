"""Looks of MIGraphX's rules: what it does not read, refuses, or takes for something else."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from lwmport.targets.graphs.record import Node
from lwmport.targets.migraphx import operators
from lwmport.targets.rules import nodes, shapes
from lwmport.targets.rules.rule import Hit, Subject
from lwmport.types import Severity

REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("MaxPool", "storage_order"): (1,),
    ("Pad", "mode"): ("wrap",),
    ("Reshape", "allowzero"): (1,),
}
"""(operator, attribute) -> values that MIGraphX's parser refuses, or does not look at."""

NEWER: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("ArgMax", "select_last_index"): (1,),
    ("ArgMin", "select_last_index"): (1,),
    ("ConvTranspose", "auto_pad"): ("SAME_UPPER", "SAME_LOWER", "VALID"),
    ("Pad", "mode"): ("edge",),
    ("Resize", "mode"): ("cubic",),
    ("TopK", "sorted"): (0,),
}
"""(operator, attribute) -> values that MIGraphX's documents exclude, and that its parser of May 2026 takes."""

CONSTANT: Final = {
    "CumSum": (1,),
    "Pad": (1, 2, 3),
    "ReverseSequence": (1,),
    "Slice": (4,),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
}
"""Operator -> its operands that MIGraphX's parser refuses where they are computed."""


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
        if coordinates in {"half_pixel_symmetric", "tf_crop_and_resize"}:
            yield Hit.at(node, coordinates)
        for name in ("exclude_outside", "antialias"):
            if node.attributes.get(name):
                yield Hit.at(node, name)
        if node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            yield Hit.at(node, "keep_aspect_ratio_policy")


def refused_attributes(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes that MIGraphX's parser or its documents exclude; the latter are warnings."""
    yield from nodes.refused_values(subject, REFUSED)
    for hit in nodes.refused_values(subject, NEWER):
        yield replace(hit, severity=Severity.WARNING)
    for node in subject.graph.of("MaxPool"):
        if len(node.outputs) > 1:
            yield Hit.at(node, "indices as a second output")


def computed_operands(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with operands that are computed where MIGraphX wants constants, or where they settle a shape.

    Shape operands are warnings where the file tells the shape of the result.
    """
    for node in subject.graph.of(*CONSTANT):
        names = (node.input(place) for place in CONSTANT[node.op])
        yield from (Hit.at(node, f"the operand {name} is computed") for name in names if not _known(subject, name))
    found = {hit.where for hit in shapes.settled_at_run_time(subject)}
    yield from shapes.settled_at_run_time(subject)
    for hit in shapes.computed_shape_operands(subject):
        if hit.where not in found and hit.operator not in CONSTANT:
            yield replace(hit, severity=Severity.WARNING)


def _known(subject: Subject, name: str) -> bool:
    return not name or name in subject.graph.known


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
