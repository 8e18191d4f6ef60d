"""Looks of MIGraphX's rules at quantised models: what its parser throws at, and what it leaves out without a word."""

from collections.abc import Iterator
from typing import Final

from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules import quantised
from lwmport.targets.rules.rule import Hit, Subject

BITS: Final = 4
LEAST_BLOCK: Final = 16
ZERO_POINTS, BIAS = 3, 5
READ: Final = 4
"""Operands of a MatMulNBits with which its zero points are read: with any other number they are not."""

NEEDED: Final = ("N", "K", "bits", "block_size")


def refused_products(subject: Subject) -> Iterator[Hit]:
    """Yield MatMulNBits nodes that the parser throws at."""
    for node in quantised.products(subject.graph):
        yield from (Hit.at(node, found) for found in _product_faults(subject.graph, node))


def _product_faults(graph: Graph, node: Node) -> Iterator[str]:
    missing = [name for name in NEEDED if name not in node.attributes]
    if missing:
        yield f"no attribute {missing[0]}"
    bits, block = node.attributes.get("bits", BITS), node.attributes.get("block_size", LEAST_BLOCK)
    if bits != BITS:
        yield f"{bits} bits, where {BITS} are read"
    if block < LEAST_BLOCK or block & (block - 1):
        yield f"blocks of {block}, where powers of two from {LEAST_BLOCK} are read"
    shape = quantised.shape_of(graph, node.input(ZERO_POINTS))
    if shape is not None and len(shape) != 1:
        yield f"zero points of {list(shape)}, where one axis is read"


def ignored_operands(subject: Subject) -> Iterator[Hit]:
    """Yield MatMulNBits nodes whose zero points or bias are not read: it looks at four operands, or at three."""
    for node in quantised.products(subject.graph):
        if len(node.inputs) > READ:
            lost = [name for place, name in ((ZERO_POINTS, "zero points"), (BIAS, "bias")) if node.input(place)]
            if lost:
                yield Hit.at(node, f"{' and '.join(lost)} beside {len(node.inputs)} operands")


def refused_pairs(subject: Subject) -> Iterator[Hit]:
    """Yield QuantizeLinear and DequantizeLinear nodes, and tensors of 4 bits, that the parser throws at."""
    for node in subject.graph.of(*quantised.PAIR):
        yield from (Hit.at(node, found) for found in _pair_faults(subject.graph, node))
    for constant in subject.graph.constants.values():
        if constant.dtype in {"int4", "uint4"} and (not constant.shape or constant.shape[-1] % 2):
            yield Hit(
                where=constant.name, found=f"{constant.dtype} of {list(constant.shape)}, whose last axis is not even"
            )


def _pair_faults(graph: Graph, node: Node) -> Iterator[str]:
    values, scale, zero = (node.input(place) for place in range(3))
    yield from _block_faults(graph, node)
    if not zero:
        return
    shapes = [quantised.shape_of(graph, name) for name in (scale, zero)]
    if None not in shapes and shapes[0] != shapes[1]:
        yield f"zero points of {list(shapes[1] or ())} beside scales of {list(shapes[0] or ())}"
    dtypes = [quantised.dtype_of(graph, name) for name in (values, zero)]
    if node.op == "DequantizeLinear" and all(dtypes) and dtypes[0] != dtypes[1]:
        yield f"zero points of {dtypes[1]} beside codes of {dtypes[0]}"


def _block_faults(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what is wrong with scales by block: scales of several axes are such, whatever the attribute says."""
    shape, whole = (quantised.shape_of(graph, node.input(place)) for place in (1, 0))
    if shape is None or len(shape) < 2 or quantised.elements(graph, node.input(1)) == 1:
        return
    if whole is not None and len(whole) != len(shape):
        yield f"scales of {list(shape)} for values of {list(whole)}"
        return
    axis = node.attributes.get("axis", 1)
    if -len(shape) <= axis < len(shape) and shape[axis] == 1:
        yield f"scales of {list(shape)}, which are one block along the axis {axis}, where several are read"
