"""Looks at quantised models that vendors share: pairs of QuantizeLinear and DequantizeLinear, and their operands."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.targets.graphs.record import Graph, Node, product
from lwmport.targets.rules.rule import Hit, Subject

PAIR: Final = ("QuantizeLinear", "DequantizeLinear")

PRODUCT: Final = "MatMulNBits"


def products(graph: Graph) -> Iterator[Node]:
    """Yield products with packed weights, in whatever domain an exporter puts them."""
    return (node for node in graph.nodes if node.op == PRODUCT)


def elements(graph: Graph, name: str) -> int | None:
    """Return how many elements a value has, None where its shape is not known."""
    shape = shape_of(graph, name)
    sizes = [size for size in shape or () if isinstance(size, int)]
    return None if shape is None or len(sizes) < len(shape) else product(sizes)


def shape_of(graph: Graph, name: str) -> tuple[int | str, ...] | None:
    """Return the shape of a constant or of another value, None where it is not known."""
    constant = graph.constants.get(name)
    return constant.shape if constant else graph.shape(name)


def dtype_of(graph: Graph, name: str) -> str:
    """Return the dtype of a constant or of another value, empty where it is not known."""
    constant = graph.constants.get(name)
    return constant.dtype if constant else graph.dtype(name)


def same(graph: Graph, one: str, other: str) -> bool:
    """Return whether two operands are one value, or equal small constants; left out is left out."""
    if one == other:
        return True
    first, second = graph.constant(one), graph.constant(other)
    return first is not None and second is not None and np.array_equal(first, second)


def rounded_values(subject: Subject) -> Iterator[Hit]:
    """Yield what rounds values while the model runs, and products with packed weights."""
    for node in subject.graph.of("QuantizeLinear"):
        if node.input(0) not in subject.graph.known:
            yield Hit.at(node, "values that are rounded at run time")
    yield from (Hit.at(node, "a product with packed weights") for node in products(subject.graph))
