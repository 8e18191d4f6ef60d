"""Looks of Compass's rules: what its parser has no class for, cannot write into its IR, rewrites, or reads wrongly.

A class is not enough: the parser reads an operator, and then has to write it in the form that the IR has for it. Its
passes (front_end/onnx/passes/back_passes.py) say which those are, and running it on ONNX's own suite shows them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lwmport.targets.aipu import operators
from lwmport.targets.graphs.one_node import schema_of
from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules import nodes, registration
from lwmport.targets.rules.rule import Hit, Subject

CONSTANT: Final = {
    "AffineGrid": (1,),
    "BatchNormalization": (1, 2, 3, 4),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "Conv": (1, 2),
    "ConvInteger": (1, 2, 3),
    "ConvTranspose": (1, 2),
    "CumSum": (1,),
    "Dropout": (1, 2),
    "Expand": (1,),
    "GRU": (1, 2, 3),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3),
    "MatMulInteger": (2, 3),
    "MaxUnpool": (2,),
    "NonMaxSuppression": (2, 3, 4),
    "OneHot": (1, 2),
    "Pad": (1, 2, 3),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Operator -> its operands that the IR holds as numbers. The parser fails where they are computed, or makes them up."""

REDUCED: Final = "Reduce"
"""The beginning of operators whose axes are the second operand."""

NO_FORM: Final = frozenset(
    {
        *("CumProd", "DeformConv", "DynamicQuantizeLinear"),
        *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert"),
    }
)
"""Operators that the parser reads, and that its IR has no form for."""

BITWISE: Final = ("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor")

SEVERAL: Final = ("Max", "Mean", "Min", "Sum")
"""Operators that are written as a chain of operators of two operands."""

CLIP_MADE_UP: Final = 11
"""The opset at which the parser writes bounds of its own in the place of a Clip's (ClipOp.convert_version)."""

SCALED: Final = ("DequantizeLinear", "QuantizeLinear")

ARITHMETIC: Final = ("Add", "Div", "Mul", "Sub")
"""Operators that broadcast since opset 7; before it, the parser asks for shapes that it has not inferred yet."""

PACKED: Final = ("int4", "uint4")
"""dtypes that the IR has as constants only."""

REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {("Reshape", "allowzero"): (1,)}
"""(operator, attribute) -> values at which Compass's parser fails, as run."""


def unknown(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that Compass's ONNX parser has no class for."""
    functions = subject.graph.functions
    for node in subject.graph.nodes:
        domain = "" if node.domain in registration.STANDARD else node.domain
        if operators.versions(domain, node.op) is None and (node.domain, node.op) not in functions:
            yield Hit.at(node, "no class in the parser")


def newer(subject: Subject) -> Iterator[Hit]:
    """Yield operators that are newer at the opset than the newest class of the parser, each once."""
    seen = set()
    for node in subject.graph.nodes:
        versions = operators.versions("", node.op) if node.domain in registration.STANDARD else None
        needed = registration.since(node.op, subject.graph.opset)
        if versions and node.op not in seen and max(versions) < needed:
            seen.add(node.op)
            yield Hit.at(node, f"version {needed}, where the parser's newest is {max(versions)}")


def unknown_tflite(subject: Subject) -> Iterator[Hit]:
    """Yield TFLite operators that Compass's parser has no class for."""
    for node in subject.graph.nodes:
        if node.domain != "custom" and operators.tflite_version(node.op) is None:
            yield Hit.at(node, "no class in the parser")


def newer_tflite(subject: Subject) -> Iterator[Hit]:
    """Yield TFLite operators of a newer version than the parser knows, once each."""
    seen = set()
    for node in subject.graph.nodes:
        newest = operators.tflite_version(node.op)
        if newest is not None and node.version > newest and node.op not in seen:
            seen.add(node.op)
            yield Hit.at(node, f"version {node.version}, where the parser's newest is {newest}")


def newer_forms(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with an operand or an attribute that the parser's newest version of the operator does not have."""
    for node in subject.graph.nodes:
        known = operators.versions("", node.op) if node.domain in registration.STANDARD else None
        if not known or registration.since(node.op, subject.graph.opset) <= max(known):
            continue
        old, new = (schema_of(node.op, opset) for opset in (max(known), subject.graph.opset))
        if old is None or new is None:
            continue
        for name, value in node.attributes.items():
            if name not in old.attributes and value != registration.usual_value(new, name):
                yield Hit.at(node, f"the attribute {name}, which version {max(known)} does not have")
        if any(node.inputs[old.max_input :]):
            yield Hit.at(node, f"{len(node.inputs)} operands, where version {max(known)} has {old.max_input}")


def computed_operands(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with an operand that is computed and that the IR holds as numbers."""
    for node in _called(subject.graph):
        places = (1,) if node.op.startswith(REDUCED) else CONSTANT.get(node.op, ())
        if node.op == "Clip" and subject.graph.opset == CLIP_MADE_UP:
            places = (1, 2)
        for name in map(node.input, places):
            if name and name not in subject.graph.known:
                yield Hit.at(node, f"the operand {name}, which is computed")


def padded_axes(subject: Subject) -> Iterator[Hit]:
    """Yield Pad nodes that name their axes and read what another node makes."""
    for node in _called(subject.graph):
        if node.op == "Pad" and node.input(3) and node.input(0) in subject.graph.makers:
            yield Hit.at(node, f"axes as the operand {node.input(3)}")


def without_form(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that the parser reads and that its IR has no form for."""
    for node in _called(subject.graph):
        graph = subject.graph
        lack = _lack(graph, node) or _refused_operands(graph, node) or _refused_pairs(graph, node)
        if lack:
            yield Hit.at(node, lack)


def _lack(graph: Graph, node: Node) -> str:
    """Return what of a node the IR does not have, in words; empty for nothing."""
    if node.op in NO_FORM:
        return f"{node.op}, which the IR does not have"
    if node.op == "Size" and any(value.name == node.outputs[0] for value in graph.outputs):
        return "Size as an output, which the parser does not fold"
    if node.op == "LSTM" and node.input(7):
        return "an LSTM with peepholes"
    if node.op == "Dropout" and _is_training(graph, node):
        return "a Dropout that drops"
    if node.op in {"Cast", "QuantizeLinear"} and graph.dtype(node.outputs[0]) in PACKED:
        return f"{node.op} to {graph.dtype(node.outputs[0])}"
    return ""


def _refused_operands(graph: Graph, node: Node) -> str:
    """Return what is wrong with the operands of a node that the IR has in other forms, in words; empty for nothing."""
    if node.op in BITWISE and any(name in graph.known for name in node.inputs):
        return f"{node.op} with a constant"
    if node.op in ARITHMETIC and graph.opset < 7 and _reads_computed(graph, node):
        return f"{node.op} of a computed value, as it was before opset 7"
    if node.op in SCALED and node.input(2) and not _alike(graph, node.inputs[1:3]):
        return "a scale and a zero point of other shapes"
    if node.op in SEVERAL and len(node.inputs) == 1:
        return f"{node.op} of one operand"
    if node.op == "Mean" and not _alike(graph, node.inputs):
        return "Mean of operands of other shapes"
    return ""


def _refused_pairs(graph: Graph, node: Node) -> str:
    """Return what of two operands the parser refuses beside each other, in words; empty for nothing."""
    if node.op == "Mod" and not node.attributes.get("fmod") and "float" in graph.dtype(node.outputs[0]):
        return "Mod of fractions with fmod 0"
    if node.op == "PRelu" and node.input(1) not in graph.known and _has_fewer_axes(graph, node):
        return "a computed slope of fewer axes"
    return ""


def _has_fewer_axes(graph: Graph, node: Node) -> bool:
    shapes = [graph.shape(name) for name in node.inputs[:2]]
    return (
        len(shapes) == 2 and all(shape is not None for shape in shapes) and len(shapes[1] or ()) < len(shapes[0] or ())
    )


def refused_resizes(subject: Subject) -> Iterator[Hit]:
    """Yield Resize nodes that the IR has no form for: it has those of 1 to 3 axes behind batch and channel.

    Cubic interpolation is written as linear, without a word.
    """
    for node in subject.graph.of("Resize", "Upsample"):
        shape, scales = subject.graph.shape(node.input(0)), nodes.scales_of(subject.graph, node)
        if node.attributes.get("mode") == "cubic":
            yield Hit.at(node, "cubic interpolation")
        if shape is not None and len(shape) not in (3, 4, 5):
            yield Hit.at(node, f"an operand of {len(shape)} axes")
        elif scales is not None and any(scale != 1 for scale in scales[:2]):
            yield Hit.at(node, "other sizes of batch or channels")


def _called(graph: Graph) -> Iterator[Node]:
    """Yield the standard nodes, without those of functions, which know their operands only where they are called."""
    for node in graph.nodes:
        if node.domain in registration.STANDARD and (not node.scope or node.scope.startswith("/")):
            yield node


def _reads_computed(graph: Graph, node: Node) -> bool:
    return any(name in graph.makers and name not in graph.constants for name in node.inputs)


def _alike(graph: Graph, names: Sequence[str]) -> bool:
    """Return whether values have the same shape, as far as it is known."""
    return len({shape for shape in map(graph.shape, names) if shape is not None}) < 2


def _is_training(graph: Graph, node: Node) -> bool:
    value = graph.constant(node.input(2)) if node.input(2) else None
    return bool(value is not None and value.size and value.reshape(-1)[0])


def refused_attributes(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes at which Compass's parser fails."""
    return nodes.refused_values(subject, REFUSED)


def rows_by_gather_nd(subject: Subject) -> Iterator[Hit]:
    """Yield GatherND nodes whose indices name one axis alone."""
    for node in nodes.rows_of(subject.graph):
        indices = subject.graph.shape(node.input(1)) or ()
        yield Hit.at(node, f"indices of the shape [{', '.join(map(str, indices))}]")


def rewritten_names(subject: Subject) -> Iterator[Hit]:
    """Yield the number of node names with characters that Compass rewrites."""
    found = [node.name for node in subject.graph.nodes if re.search(r"[./:]", node.name)]
    if found:
        yield Hit(where=found[0], found=f"{len(found)} node names with '.', '/' or ':'")


def behind_the_tables(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if weights lie behind the tables of a TFLite file, by offsets of buffers."""
    found = [item.name for item in subject.graph.constants.values() if item.keys]
    if found:
        yield Hit(where=found[0], found=f"{len(found)} tensors behind the tables of the file")


def parser_memory(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if Compass's parser will need more than 8 GiB: about four times the weights."""
    weights = sum(item.nbytes for item in subject.graph.constants.values())
    if 4 * weights > 8 * 2**30:
        yield Hit(found=f"{weights / 2**30:.1f} GiB of weights")
