"""Opening a model file of any known format, by its suffix."""

from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError, UsageError
from lwmport.instead import in_place_of
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


SAVED_MODEL: Final = (".pb", ".pbtxt")
"""What TensorFlow's ``saved_model`` ends with in the folder of one (tensorflow/cc/saved_model/constants.h)."""


def is_saved_model(path: Path) -> bool:
    """Return whether a path is the folder of a TensorFlow SavedModel."""
    return path.is_dir() and any((path / f"saved_model{suffix}").is_file() for suffix in SAVED_MODEL)


def open_graph(path: Path, shapes: Shapes | None = None) -> Graph:
    """Return the graph of a model file; nothing in it is executed, and no weight is loaded.

    Raises:
        ArtifactError: there is no such file, or it is none of its format.
        UsageError: the suffix is none of a known format, it is a SavedModel, or a shape fits no input.
    """
    if is_saved_model(path) or (path.stem == "saved_model" and is_saved_model(path.parent)):
        raise UsageError(
            f"expected a model file ({', '.join(READERS)}), found the SavedModel {path}, which is not read; freeze it, "
            f"or write a frozen graph: lwmport convert --to frozen_graph"
        )
    if not path.is_file():
        raise ArtifactError(f"expected a model file ({', '.join(READERS)}), found none at {path}")
    placeholder = in_place_of(path)
    if placeholder:
        raise ArtifactError(f"{path}: expected a model, found {placeholder}")
    graph: Graph = READERS[path.suffix.lower()](path, shapes)
    return graph
