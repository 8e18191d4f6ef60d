"""Looks of Ascend's rules: what ATC has a parser for, what CANN's plugins refuse, what a chip has no kernel for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from lwmport.targets.ascend import npu_rules as npu
from lwmport.targets.ascend import operators
from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules import nodes, registration
from lwmport.targets.rules.quantised import PAIR
from lwmport.targets.rules.resize import same_for_any_rounding
from lwmport.targets.rules.rule import Hit, Subject
from lwmport.types import Severity

OLD_CANN: Final = (6, 0)
"""Before it, parsers were registered up to opset 13 (Ascend/pytorch v2.0.4, for CANN 5.0.4)."""

DOMAINS: Final = ("", "npu", "mmdeploy")

LOOPS: Final = ("Loop", "Scan", "SequenceMap")

REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("ArgMax", "select_last_index"): (1,),
    ("ArgMin", "select_last_index"): (1,),
    ("ScatterND", "reduction"): ("mul",),
}
"""(operator, attribute) -> values at which CANN's plugin fails."""


def opsets_of(subject: Subject) -> tuple[int, int]:
    """Return the opsets that a CANN has parsers for."""
    return (8, 13) if subject.toolkit and subject.toolkit < OLD_CANN else (8, 18)


def other_opset(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if ATC has no parser at the opset of the model."""
    low, high = opsets_of(subject)
    if not low <= subject.graph.opset <= high:
        yield Hit(found=f"opset {subject.graph.opset}, where ATC has parsers for {low} to {high}")


def unregistered(subject: Subject) -> Iterator[Hit]:
    """Yield nodes of operators that CANN has no parser for, at the opset of the model or at any opset.

    Pairs that round are left to rules of their own: AMCT takes them before ATC does.
    """
    low, high = opsets_of(subject)
    opset = min(max(subject.graph.opset, low), high)
    for node in subject.graph.nodes:
        if node.domain not in DOMAINS or node.op in ("Loop", "Scan") or (not node.domain and node.op in PAIR):
            continue
        found = operators.opsets(node.domain, node.op)
        if found is None:
            yield Hit.at(node, "no parser at any opset")
        elif not node.domain and not found[0] <= opset <= found[1]:
            yield Hit.at(node, f"a parser for opsets {found[0]} to {found[1]}, none for {opset}")


def unlisted_for_chip(subject: Subject) -> Iterator[Hit]:
    """Yield operators that the open kernels mark as absent on the chip, each once."""
    seen = set()
    for node in subject.graph.nodes:
        known = node.domain == npu.DOMAIN and node.op in npu.FUSED  # these have a rule of their own
        if known or (node.domain, node.op) in seen:
            continue
        if operators.is_unlisted(node.domain, node.op, subject.chip.family):
            seen.add((node.domain, node.op))
            yield Hit.at(node, f"the open kernels list none for {subject.chip.name}")


def bodies(subject: Subject) -> Iterator[Hit]:
    """Yield loops, which have no parser, and Ifs, which have one: a warning."""
    yield from registration.operators_named(*LOOPS)(subject)
    for hit in registration.operators_named("If")(subject):
        yield replace(hit, severity=Severity.WARNING)


def refused_resizes(subject: Subject) -> Iterator[Hit]:
    """Yield Resize nodes that ATC refuses, or whose result it may change."""
    for node in subject.graph.of("Resize"):
        yield from (Hit.at(node, found) for found in _resize_faults(subject.graph, node))


def _resize_faults(graph: Graph, node: Node) -> Iterator[str]:
    mode = node.attributes.get("mode", "nearest")
    shape = graph.shape(node.input(0))
    for name, usual in nodes.RESIZE_IGNORED.items():
        if node.attributes.get(name, usual) != usual:
            yield f"the attribute {name}, which is ignored"
    if len(node.inputs) < 3:
        yield f"{len(node.inputs)} operands, where 3 are needed"
    if mode == "cubic":
        yield "cubic interpolation"
    if shape is not None and len(shape) != 4:
        yield f"an operand of {len(shape)} axes"
    factors = nodes.scales_of(graph, node)
    if factors is None:
        yield "scales or sizes that are not constant"
    elif mode == "nearest" and not _same_pixels(graph, node, factors):
        yield f"nearest pixels that depend on how ties are broken ({' and '.join(nodes.modes_of(node))})"


def _same_pixels(graph: Graph, node: Node, factors: Sequence[float]) -> bool:
    old = graph.shape(node.input(0))
    if old is None or len(old) != len(factors):
        return False
    # A dynamic batch is not resized: only sizes that change matter.
    changed = [(scale, size) for scale, size in zip(factors, old, strict=True) if scale != 1.0]
    if not all(isinstance(size, int) for _, size in changed):
        return False
    sizes = [(int(size), int(int(size) * scale)) for scale, size in changed]
    return same_for_any_rounding(nodes.modes_of(node), [scale for scale, _ in changed], sizes)


def wide_convolutions(subject: Subject) -> Iterator[Hit]:
    """Yield convolutions beyond what Ascend's cube unit takes: 4 or 5 axes, kernel 255, stride 63, dilation 255."""
    for node in subject.graph.of("Conv", "ConvTranspose"):
        shape = subject.graph.shape(node.input(0)) or subject.graph.shape(node.input(1))
        if shape is not None and len(shape) not in (4, 5):
            yield Hit.at(node, f"an operand of {len(shape)} axes")
        kernel = node.attributes.get("kernel_shape") or (subject.graph.shape(node.input(1)) or ())[2:]
        limits = (("kernel", kernel, 255), ("stride", node.attributes.get("strides", ()), 63))
        for name, sizes, limit in (*limits, ("dilation", node.attributes.get("dilations", ()), 255)):
            if any(isinstance(size, int) and size > limit for size in sizes):
                yield Hit.at(node, f"{name} {list(sizes)}, where {limit} is the limit")


def refused_attributes(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes at which CANN's plugin fails, and Clip nodes without any bound."""
    yield from nodes.refused_values(subject, REFUSED)
    for node in subject.graph.of("Clip"):
        if not node.input(1) and not node.input(2) and not {"min", "max"} & set(node.attributes):
            yield Hit.at(node, "neither min nor max")


def instance_norms_of_other_rank(subject: Subject) -> Iterator[Hit]:
    """Yield InstanceNormalization nodes of other than 4 or 5 axes on 310P, unless they are part of a group norm."""
    if subject.chip.family != "310P":
        return
    for node in subject.graph.of("InstanceNormalization"):
        shape = subject.graph.shape(node.input(0))
        maker = subject.graph.makers.get(node.input(0))
        readers = subject.graph.readers.get(next(iter(node.outputs), ""), [])
        grouped = maker is not None and maker.op == "Reshape" and [reader.op for reader in readers] == ["Reshape"]
        if shape is not None and len(shape) not in (4, 5) and not grouped:
            yield Hit.at(node, f"an operand of {len(shape)} axes")
