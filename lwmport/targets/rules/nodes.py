"""Looks at single operators: attributes and operands that a vendor's plugin refuses or reads otherwise."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.rule import Hit, Subject
from lwmport.types import Severity

RESIZE_IGNORED: Final = {"antialias": 0, "axes": None, "keep_aspect_ratio_policy": "stretch"}
"""Attributes of Resize that vendors' plugins read and ignore -> what they mean when they are left out."""


def modes_of(node: Node) -> tuple[str, str]:
    """Return coordinate_transformation_mode and nearest_mode of a Resize."""
    return (
        node.attributes.get("coordinate_transformation_mode", "half_pixel"),
        node.attributes.get("nearest_mode", "round_prefer_floor"),
    )


def scales_of(graph: Graph, node: Node) -> Sequence[float] | None:
    """Return the scale of every axis of a Resize, None where they are not constant, not known or not above zero."""
    found = _scales_of(graph, node)
    return found if found is not None and all(0 < scale < math.inf for scale in found) else None


def _scales_of(graph: Graph, node: Node) -> Sequence[float] | None:
    scales = graph.constant(node.input(2)) if node.input(2) else None
    if scales is not None and scales.size:
        return [float(scale) for scale in scales.reshape(-1)]
    sizes = graph.constant(node.input(3)) if node.input(3) else None
    shape = graph.shape(node.input(0))
    if sizes is None or shape is None or sizes.size != len(shape):
        return None
    pairs = list(zip(sizes.reshape(-1), shape, strict=True))
    return [float(new) / old for new, old in pairs if isinstance(old, int) and old] if pairs else None


def rows_of(graph: Graph) -> Iterator[Node]:
    """Yield GatherND nodes whose indices name one axis alone: rows of a table, which Gather takes too."""
    for node in graph.of("GatherND"):
        indices = graph.shape(node.input(1)) or ("?",)
        if indices[-1] == 1 and not node.attributes.get("batch_dims"):
            yield node


def refused_values(subject: Subject, table: Mapping[tuple[str, str], tuple[Any, ...]]) -> Iterator[Hit]:
    """Yield nodes with attributes at values that are refused; ``table`` maps (operator, attribute) to these."""
    for (operator, attribute), values in table.items():
        for node in subject.graph.of(operator):
            if node.attributes.get(attribute) in values:
                yield Hit.at(node, f"{attribute}={node.attributes[attribute]}")


def computed_trilu(subject: Subject) -> Iterator[Hit]:
    """Yield Trilu nodes on values that are computed."""
    for node in subject.graph.of("Trilu"):
        if node.input(0) not in subject.graph.known:
            yield Hit.at(node, "Trilu of a value that is computed")


def wide_remainders(subject: Subject) -> Iterator[Hit]:
    """Yield remainders of integers that are wider than 16 bits."""
    for node in subject.graph.of("Mod"):
        dtype = subject.graph.dtype(node.input(0))
        if dtype in {"int32", "int64", "uint32", "uint64"}:
            yield Hit.at(node, f"a remainder of {dtype}")


def blockwise_scales(subject: Subject) -> Iterator[Hit]:
    """Yield DequantizeLinear and QuantizeLinear nodes with a block size."""
    for node in subject.graph.of("DequantizeLinear", "QuantizeLinear"):
        if node.attributes.get("block_size"):
            yield Hit.at(node, f"block_size {node.attributes['block_size']}")


def loops_of_unknown_length(subject: Subject) -> Iterator[Hit]:
    """Yield Loop nodes; those with a constant trip count and no condition are only noted, for they are unrolled."""
    for node in subject.graph.of("Loop"):
        counted = node.input(0) in subject.graph.known and node.input(1) in {"", *subject.graph.known}
        severity = Severity.NOTE if counted else None
        words = "a constant trip count, which is unrolled" if counted else "a trip count or condition that is computed"
        yield Hit(where=node.name, operator="Loop", found=words, severity=severity)


def tokens_by_bodies(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that carry bodies."""
    return (Hit.at(node, f"{node.op} with a body") for node in subject.graph.of("If", "Loop", "Scan"))
