"""Looks of Ascend's rules at AscendQuant, Conv of codes and AscendDequant: do they fit together as AMCT writes them?"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules import quantised
from lwmport.targets.rules.rule import Hit, Subject

QUANT: Final = "AscendQuant"
DEQUANT: Final = "AscendDequant"

BEHIND: Final = ("AscendDequant", "AscendRequant", "AscendDequantS16", "AscendRequantS16")
"""What makes something of the sums of codes."""

LEAST, LARGEST = -128, 127


def unfit(subject: Subject) -> Iterator[Hit]:
    """Yield nodes of a quantised convolution that do not go with each other."""
    graph = subject.graph
    for node in graph.of(QUANT):
        offset = node.attributes.get("offset")
        if isinstance(offset, float) and not (offset.is_integer() and LEAST <= offset <= LARGEST):
            yield Hit.at(node, f"offset {offset:g}, which is no code of int8")
    for node in graph.of("Conv"):
        maker = graph.makers.get(node.input(0))
        if maker is not None and maker.op == QUANT:
            yield from (Hit.at(node, found) for found in _faults(graph, node))
    for node in graph.of(DEQUANT):
        scales = graph.constant(node.input(1))
        if scales is not None and scales.dtype == np.uint64 and (scales >> np.uint64(32)).any():
            yield Hit.at(node, "deq_scale with bits in its high half")


def _faults(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what is wrong with a convolution of codes."""
    for place, name, expected in ((1, "weights", "int8"), (2, "a bias", "int32")):
        dtype = quantised.dtype_of(graph, node.input(place)) if node.input(place) else ""
        if dtype not in {expected, ""}:
            yield f"{name} of {dtype} behind {QUANT}, where {expected} is taken"
    (made,) = node.outputs
    readers = graph.readers.get(made, [])
    others = sorted({reader.op for reader in readers if reader.op not in BEHIND})
    if others or not readers:
        yield f"sums of codes that {others[0] if others else 'no operator'} reads, and no {DEQUANT}"
