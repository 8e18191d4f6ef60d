"""Sizes that ONNX Runtime's own operators (domain ``com.microsoft``) refuse when they run, not when they are loaded.

Source: ONNX Runtime, onnxruntime/contrib_ops/cpu/bert/group_query_attention_helper.h, rotary_embedding_helper.h,
multihead_attention_helper.h, and docs/ContribOperators.md.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.rule import Hit, Subject

DOMAIN: Final = "com.microsoft"
MULTIPLE: Final = 8
"""Of which a head size of GroupQueryAttention is a multiple."""


def refused_sizes(subject: Subject) -> Iterator[Hit]:
    """Yield a hit for each node whose sizes its operator does not take."""
    for node in subject.graph.nodes:
        limit = LIMITS.get(node.op) if node.domain == DOMAIN else None
        found = limit(subject.graph, node) if limit else ""
        if found:
            yield Hit.at(node, found)


def _group_query(graph: Graph, node: Node) -> str:
    heads, shared = _number(node, "num_heads"), _number(node, "kv_num_heads")
    if heads and shared and heads % shared:
        return f"num_heads {heads}, which is no multiple of kv_num_heads {shared}"
    packed = not node.input(1)
    size = _head_size(graph, node, heads + 2 * shared if packed else heads, past=3)
    return f"head size {size}, which is no multiple of {MULTIPLE}" if size % MULTIPLE else ""


def _multi_head(graph: Graph, node: Node) -> str:
    heads, width = _number(node, "num_heads"), _last(graph, node.input(0))
    whole = len(graph.shape(node.input(0)) or ()) == 3
    return (
        f"hidden size {width}, which is no multiple of num_heads {heads}" if whole and heads and width % heads else ""
    )


def _rotary(graph: Graph, node: Node) -> str:
    part, heads = _number(node, "rotary_embedding_dim"), _number(node, "num_heads")
    if part and not heads:
        return f"rotary_embedding_dim {part} without num_heads"
    half = _last(graph, node.input(2))
    return f"a table of {half} cosines for rotary_embedding_dim {part}" if part and half and 2 * half != part else ""


LIMITS: Final[Mapping[str, Callable[[Graph, Node], str]]] = {
    "GroupQueryAttention": _group_query,
    "MultiHeadAttention": _multi_head,
    "RotaryEmbedding": _rotary,
}
"""Operator -> what is wrong with the sizes of a node, in words; nothing where they are right or not known."""


def _head_size(graph: Graph, node: Node, heads: int, past: int) -> int:
    """Return the head size by the width of the queries, or by the cache; 0 where neither is known."""
    width = _last(graph, node.input(0))
    return width // heads if width and heads else _last(graph, node.input(past))


def _last(graph: Graph, name: str) -> int:
    size = (graph.shape(name) or (0,))[-1]
    return size if isinstance(size, int) and size > 0 else 0


def _number(node: Node, name: str) -> int:
    value = node.attributes.get(name, 0)
    return value if isinstance(value, int) and value > 0 else 0
