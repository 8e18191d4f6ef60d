"""How large a graph is: as a reader sees it, and with the calls of its own functions opened."""

from dataclasses import dataclass
from pathlib import Path

import onnx


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Nodes of the graph as written, and after every call of a function that the model carries is opened."""

    written: int
    opened: int

    def __str__(self) -> str:
        return str(self.written) if self.written == self.opened else f"{self.written} ({self.opened})"


def count(path: Path) -> Nodes:
    """Return the nodes of a model file, whose weights stay where they are."""
    model = onnx.load(path, load_external_data=False)
    functions = {(function.domain, function.name): function for function in model.functions}

    def opened(node: onnx.NodeProto) -> int:
        function = functions.get((node.domain, node.op_type))
        return sum(map(opened, function.node)) if function else 1

    return Nodes(written=len(model.graph.node), opened=sum(map(opened, model.graph.node)))
