"""What the functions of a model come to when inlined: a few lines can stand for more nodes than memory holds."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import onnx

from lwmport.errors import ArtifactError

NODES: Final = 1_000_000
"""Nodes that a model may have with its functions inlined."""

MOST: Final = 10**12
"""What nodes are counted up to."""

Key: TypeAlias = tuple[str, str]


def check_calls(model: onnx.ModelProto, path: Path) -> None:
    """Return if the functions of a model can be inlined.

    Raises:
        ArtifactError: one calls itself, or they come to more than `NODES` nodes.
    """
    calls = {(function.domain, function.name): Counter(_called(function.node)) for function in model.functions}
    sizes: dict[Key, int] = {}
    for key in calls:
        _measure(key, calls, sizes, path)
    total = _total(Counter(_called(model.graph.node)), sizes)
    if total > NODES:
        found = f"{total:,}{' or more' if total == MOST else ''}"
        raise ArtifactError(f"expected at most {NODES:,} nodes in {path} with its functions inlined, found {found}")


def _total(called: Counter[Key], sizes: dict[Key, int]) -> int:
    return min(sum(count * sizes.get(key, 1) for key, count in called.items()), MOST)


def _measure(first: Key, calls: dict[Key, Counter[Key]], sizes: dict[Key, int], path: Path) -> None:
    """Count the nodes of a function and of all that it calls, each function once."""
    open_: set[Key] = set()
    waiting = [first]
    while waiting:
        key = waiting[-1]
        missing = [called for called in calls[key] if called in calls and called not in sizes]
        if key in sizes or not missing:
            sizes[key] = _total(calls[key], sizes)
            open_.discard(key)
            waiting.pop()
            continue
        open_.add(key)
        if open_.intersection(missing):
            raise ArtifactError(f"expected functions in {path} that call others only, found {key[1]!r} calling itself")
        waiting.extend(missing)


def _called(nodes: "list[onnx.NodeProto]") -> Iterator[Key]:
    """Yield the operator of every node, those of bodies included."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node.domain, node.op_type
        for item in node.attribute:
            for body in (*item.graphs, *([item.g] if item.HasField("g") else [])):
                waiting.extend(body.node)
