"""Opening a model file of any known format, by its suffix."""

from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.registry import Registry
from lwmport.targets.graphs.record import Graph, Shapes

READERS: Final = Registry(
    "kind of model file",
    {
        ".onnx": "lwmport.targets.graphs.onnx_file:read",
        ".pb": "lwmport.targets.graphs.graphdef_file:read",
        ".tflite": "lwmport.targets.graphs.tflite_file:read",
    },
)
"""Suffix -> ``read(path, shapes)``."""


def open_graph(path: Path, shapes: Shapes | None = None) -> Graph:
    """Return the graph of a model file; nothing in it is executed, and no weight is loaded.

    Raises:
        ArtifactError: there is no such file, or it is none of its format.
        UsageError: the suffix is none of a known format, or a shape fits no input.
    """
    if not path.is_file():
        raise ArtifactError(f"expected a model file ({', '.join(READERS)}), found none at {path}")
    graph: Graph = READERS[path.suffix](path, shapes)
    return graph
