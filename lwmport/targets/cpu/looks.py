"""Looks of a CPU's rules: what ONNX Runtime refuses to load or to run."""

from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np

from lwmport.targets.cpu import kernels
from lwmport.targets.graphs.record import Graph
from lwmport.targets.rules import nodes, registration
from lwmport.targets.rules.rule import Hit, Subject
from lwmport.types import Dim, Severity

OLDEST: Final = 7
"""The oldest opset that ONNX Runtime promises to read. It warns of older ones, and runs what it has kernels for."""

NEWEST_IR: Final = 13
"""The newest version of ONNX's file format that ONNX Runtime 1.31 reads, as run; onnx 1.23 writes 14 by itself."""

REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("GRU", "layout"): (1,),
    ("LSTM", "layout"): (1,),
    ("RNN", "layout"): (1,),
}
"""(operator, attribute) -> values at which ONNX Runtime's kernels fail, as run."""


def half_precision(subject: Subject) -> Iterator[Hit]:
    """Yield a hit for a model with weights in half precision."""
    names = [item.name for item in subject.graph.constants.values() if item.dtype in {"float16", "bfloat16"}]
    if names:
        yield Hit(where=names[0], found=f"{len(names)} weights in half precision")


def opset(subject: Subject) -> Iterator[Hit]:
    """Yield a hit for an opset or an IR version that ONNX Runtime refuses, or makes no promise of."""
    found, ir = subject.graph.opset, subject.graph.ir
    if ir > NEWEST_IR:
        yield Hit(found=f"IR version {ir}, where {NEWEST_IR} is the newest that is read")
    if not found and any(not node.domain for node in subject.graph.nodes if not node.scope):
        yield Hit(found="operators of ONNX, and no opset of it")
    if found > kernels.NEWEST:
        yield Hit(found=f"opset {found}, where {OLDEST} to {kernels.NEWEST} are read")
    elif found < 0:
        yield Hit(found=f"opset {found}")
    elif 0 < found < OLDEST:
        yield Hit(found=f"opset {found}, older than {OLDEST}", severity=Severity.WARNING)


def unknown(subject: Subject) -> Iterator[Hit]:
    """Yield nodes of the default domain that neither ONNX nor ONNX Runtime has such an operator for at the opset."""
    return (hit for hit in registration.unknown_to_onnx(subject) if not kernels.is_known("", hit.operator))


def without_kernel(subject: Subject) -> Iterator[Hit]:
    """Yield nodes whose operator has no kernel at this version, or for these dtypes."""
    for node in subject.graph.nodes:
        if node.domain in kernels.DOMAINS and (node.domain, node.op) not in subject.graph.functions:
            lack = kernels.lack(subject.graph, node)
            if lack:
                yield Hit.at(node, f"no kernel for {lack}")


def refused_attributes(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes at which a kernel fails, or that the runtime's version of the operator has not."""
    yield from nodes.refused_values(subject, REFUSED)
    for node in subject.graph.of(*{op for domain, op in subject.graph.operators if domain == ""}):
        schema = kernels.schema_of(subject.graph, node)
        own = node.scope and subject.graph.functions  # a function may have an opset of its own
        if schema is not None and not own:
            unknown_ones = sorted(set(node.attributes) - set(schema.attributes))
            yield from (Hit.at(node, f"the attribute {name}") for name in unknown_ones)


def refused_operands(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with operands of sizes at which ONNX Runtime's kernels fail."""
    graph = subject.graph
    for node in graph.of("Range"):  # a computed operand may have one axis
        for name in node.inputs:
            if name in graph.constants and graph.constants[name].shape:
                yield Hit.at(node, f"the operand {name}, which is no scalar")
    yield from _scales(graph)
    for node in graph.of("ConvInteger"):
        if _elements(graph.shape(node.input(3))) > 1:
            yield Hit.at(node, "a zero point for each channel of the weights")
    for node in graph.of("RotaryEmbedding"):
        turned, table = node.attributes.get("rotary_embedding_dim", 0), graph.shape(node.input(1))
        if turned and table and isinstance(table[-1], int) and table[-1] != turned // 2:
            yield Hit.at(node, f"a table of {table[-1]} angles, where {turned // 2} of each head are turned")
    for node in graph.of("Attention"):
        mask, keys = graph.shape(node.input(3)), graph.shape(node.input(1))
        pair = (mask[-1], keys[-2]) if mask and keys and not node.input(4) else ()
        if len(pair) == 2 and all(isinstance(size, int) for size in pair) and pair[0] < pair[1]:  # type: ignore[operator]
            yield Hit.at(node, f"a mask over {pair[0]} of {pair[1]} keys")


def _scales(graph: Graph) -> Iterator[Hit]:
    """Yield nodes that change sizes by what is not above zero."""
    for node in graph.of("Resize", "Upsample"):
        scales = graph.constants.get(node.input(2 if node.op == "Resize" else 1))
        value = None if scales is None else scales.value()
        if value is not None and not np.all((value > 0) & np.isfinite(value)):
            yield Hit.at(node, "a scale that is not above zero, or no number")


def _elements(shape: tuple[Dim, ...] | None) -> int:
    """Return how many elements a shape has, as far as its sizes are known."""
    return prod(size for size in shape or () if isinstance(size, int))


def nothing_out(subject: Subject) -> Iterator[Hit]:
    """Yield a hit for a graph without outputs."""
    if not subject.graph.outputs:
        yield Hit(found="a graph without an output")


def locales(subject: Subject) -> Iterator[Hit]:
    """Yield operators that ask the machine for a locale."""
    for node in subject.graph.of("StringNormalizer"):
        yield Hit.at(node, f"the locale {node.attributes.get('locale', 'en_US')}")
