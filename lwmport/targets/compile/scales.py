"""Outputs of a model whose range is known whatever its inputs are: probabilities, and what a sigmoid gives."""

from typing import Final

from lwmport.targets.graphs.record import Graph, Node

BOUNDED: Final = {"HardSigmoid": 1.0, "Sigmoid": 1.0, "Softmax": 1.0, "Tanh": 1.0, "LOGISTIC": 1.0, "SOFTMAX": 1.0}
"""Operator -> the largest magnitude of what it gives."""

PASSING: Final = (
    *("Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"),
    *("CONCATENATION", "RESHAPE", "SQUEEZE", "TRANSPOSE"),
)
"""Operators that give nothing but values of their first operands."""

MOST: Final = 1000
"""Nodes that are followed."""


def output_scales(graph: Graph) -> dict[str, float]:
    """Return output -> the largest magnitude that it can have, for those of which the graph tells it."""
    makers = {made: node for node in graph.nodes if not node.scope for made in node.outputs}
    found = {value.name: _scale(value.name, makers) for value in graph.outputs}
    return {name: scale for name, scale in found.items() if scale}


def _scale(name: str, makers: dict[str, Node]) -> float:
    waiting, seen, found = [name], set[str](), 0.0
    while waiting:
        current = waiting.pop()
        node = makers.get(current)
        if node is None or len(seen) > MOST:
            return 0.0
        if node.op in BOUNDED:
            found = max(found, BOUNDED[node.op])
            continue
        if node.op not in PASSING:
            return 0.0
        several = node.op in {"Concat", "CONCATENATION"}
        operands = node.inputs if several else node.inputs[:1]
        waiting += [operand for operand in operands if operand not in seen]
        seen.update(operands)
    return found
