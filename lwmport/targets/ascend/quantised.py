"""Looks of Ascend's rules at quantised models: what AMCT makes CANN's own operators of, and how ATC reads those."""

from collections.abc import Iterator
from typing import Final

from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules import quantised
from lwmport.targets.rules.rule import Hit, Subject

BY_CHANNEL: Final = ("Conv", "ConvTranspose")
"""Operators whose weights AMCT takes with a scale for each output channel."""

BY_TENSOR: Final = ("Add", "Gemm", "MatMul")
"""Operators that it takes with one scale alone."""

ROUNDINGS: Final = ("Round", "Floor", "Ceil", "Ceiling", "Trunc", "Truncate")
"""``round_mode`` of AscendQuant, as the documents of its versions spell it."""

SCALES: Final = ("uint64", "float16")
"""dtypes of AscendDequant's deq_scale."""


def pairs(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if values are rounded by pairs that AMCT takes: ATC by itself has no parser for them."""
    found = [node for node in subject.graph.of(*quantised.PAIR) if not _faults(subject.graph, node)]
    if found:
        yield Hit.at(found[0], f"{len(found)} nodes of {' and '.join(sorted({node.op for node in found}))}")


def refused_pairs(subject: Subject) -> Iterator[Hit]:
    """Yield QuantizeLinear and DequantizeLinear nodes that AMCT's convert_qat_model does not document to take."""
    for node in subject.graph.of(*quantised.PAIR):
        yield from (Hit.at(node, found) for found in _faults(subject.graph, node))


def _faults(graph: Graph, node: Node) -> list[str]:
    found = list(_quantize_faults(graph, node) if node.op == "QuantizeLinear" else _dequantize_faults(graph, node))
    if node.attributes.get("block_size"):
        found.append(f"block_size {node.attributes['block_size']}")
    return found


def _quantize_faults(graph: Graph, node: Node) -> Iterator[str]:
    (made,) = node.outputs
    readers = graph.readers.get(made, [])
    alone = any(made == value.name for value in graph.outputs) and not readers
    partners = [reader for reader in readers if reader.op == "DequantizeLinear" and _matching(graph, node, reader)]
    if not alone and (not readers or len(partners) != len(readers)):
        yield "no DequantizeLinear of the same scale and zero point behind it"
    if quantised.dtype_of(graph, node.input(0)) not in {"float32", ""}:
        yield f"values of {quantised.dtype_of(graph, node.input(0))}, where float32 is taken"
    if node.input(0) not in graph.known and quantised.elements(graph, node.input(1)) not in {1, None}:
        yield "a scale for each channel of values that are computed"


def _matching(graph: Graph, one: Node, other: Node) -> bool:
    return all(quantised.same(graph, one.input(place), other.input(place)) for place in (1, 2))


def _dequantize_faults(graph: Graph, node: Node) -> Iterator[str]:
    maker = graph.makers.get(node.input(0))
    if maker is None or maker.op != "QuantizeLinear":
        yield "codes that no QuantizeLinear makes"
    several = quantised.elements(graph, node.input(1)) not in {1, None}
    (made,) = node.outputs
    for reader in graph.readers.get(made, []):
        if reader.op not in {*BY_CHANNEL, *BY_TENSOR}:
            yield f"{reader.op} behind it"
        elif reader.op in BY_TENSOR and several:
            yield f"a scale for each channel of what {reader.op} reads"


def unread_forms(subject: Subject) -> Iterator[Hit]:
    """Yield AscendQuant and AscendDequant nodes with attributes or operands that their plugins do not read."""
    for node in subject.graph.of("AscendQuant"):
        yield from (Hit.at(node, found) for found in _quant_faults(node))
    for node in subject.graph.of("AscendDequant"):
        dtype = quantised.dtype_of(subject.graph, node.input(1))
        if not node.input(1):
            yield Hit.at(node, "no deq_scale")
        elif dtype not in {*SCALES, ""}:
            yield Hit.at(node, f"deq_scale of {dtype}, where {' and '.join(SCALES)} are taken")


def _quant_faults(node: Node) -> Iterator[str]:
    for name in ("scale", "offset"):
        value = node.attributes.get(name)
        if not isinstance(value, float):
            yield f"{name} {'left out' if value is None else 'that is no float'}, which is read as 0"
    mode = node.attributes.get("round_mode", "Round")
    if mode not in ROUNDINGS:
        yield f"round_mode {mode}"
    if not isinstance(node.attributes.get("dst_type", ""), str):
        yield "dst_type that is no text, which is read as INT8"
