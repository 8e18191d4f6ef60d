"""The kernels of ONNX Runtime's CPU provider: which operators, versions and dtypes it computes.

A node takes a kernel whose range holds the version of its operator; one that is not ended holds its first version
alone. Where float16 has none, ONNX Runtime casts to float32 around the node. An operator without a kernel is computed
by its function, if ONNX gives it one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from lwmport.targets.graphs import one_node
from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.operators import listed

_LIST: Final = listed("onnxruntime_cpu")
NEWEST: Final = int(_LIST["opset"])
"""The newest opset that it reads."""

DOMAINS: Final = ("", "ai.onnx.ml")
"""Domains whose kernels are listed."""

IN_FUNCTIONS: Final = {"Bernoulli": ("RandomUniformLike", ("T1",)), "CastLike": ("Cast", ("T1", "T2"))}
"""Operator -> the one that its function computes it by, and their common type parameters."""

AT_LOADING: Final = frozenset({"Constant"})
"""Operators that need no kernel: they are gone when the model is loaded."""


def is_known(domain: str, operator: str) -> bool:
    """Return whether ONNX Runtime has a kernel of some version of an operator."""
    return _key(domain, operator) in _LIST["operators"]


def version(graph: Graph, node: Node) -> int:
    """Return the version of a node's operator, as ONNX Runtime knows it; 0 if it has no kernel of any version."""
    entry = _LIST["operators"].get(_key(node.domain, node.op))
    return 0 if entry is None else max((one for one in entry["versions"] if one <= _opset(graph, node)), default=0)


def lack(graph: Graph, node: Node) -> str:
    """Return what a node has no kernel for, in words; empty if it has one, or is computed by its function."""
    schema = schema_of(graph, node)
    if node.op in AT_LOADING or schema is None:
        return ""
    bound: dict[str, str] = {}
    for name, dtype in _types(graph, node, schema):
        if dtype:
            bound.setdefault(name, dtype)  # what operands say goes before what a file claims of results
    dtypes = ", ".join(dict.fromkeys(bound.values())) or "these operands"
    if node.op in IN_FUNCTIONS and not node.domain:
        inner, shared = IN_FUNCTIONS[node.op]
        taken = _taken(graph, replace(node, op=inner), {name: bound[name] for name in shared if name in bound})
        return "" if taken else f"{inner} of {dtypes}, which {node.op} is made of"
    if _has_function(schema):
        return f"{node.op} of bfloat16" if "bfloat16" in bound.values() and not _taken(graph, node, bound) else ""
    if not is_known(node.domain, node.op):
        return node.op
    return "" if _taken(graph, node, bound) else f"version {version(graph, node)} of {node.op} with {dtypes}"


def schema_of(graph: Graph, node: Node) -> Any:
    """Return ONNX's schema of a node's operator at the version that ONNX Runtime takes, None if there is none."""
    return one_node.schema_of(node.op, version(graph, node) or _opset(graph, node), node.domain)


def _taken(graph: Graph, node: Node, bound: Mapping[str, str]) -> bool:
    since = version(graph, node)
    wide = {name: "float32" if dtype == "float16" else dtype for name, dtype in bound.items()}
    for first, last, types in _LIST["operators"].get(_key(node.domain, node.op), {"kernels": ()})["kernels"]:
        held = first == since or (last and first <= since <= last)
        allowed = {name: _LIST["types"][key] for name, key in types.items()}
        for given in (bound, wide):
            if held and all(given[name] in dtypes for name, dtypes in allowed.items() if name in given):
                return True
    return False


def _types(graph: Graph, node: Node, schema: Any) -> Iterator[tuple[str, str]]:
    """Yield the dtype of each operand and result, by the name of its type parameter and by its own."""
    for names, formals in ((node.inputs, schema.inputs), (node.outputs, schema.outputs)):
        for place, name in enumerate(names):
            formal = formals[min(place, len(formals) - 1)] if formals else None
            if name and formal is not None:
                yield formal.type_str, graph.dtype(name)
                yield formal.name, graph.dtype(name)


def _has_function(schema: Any) -> bool:
    return bool(schema.has_function or schema.has_context_dependent_function)


def _opset(graph: Graph, node: Node) -> int:
    return graph.opset if node.domain == "" else graph.opsets.get(node.domain, 0)


def _key(domain: str, operator: str) -> str:
    return f"{domain}::{operator}" if domain else operator
