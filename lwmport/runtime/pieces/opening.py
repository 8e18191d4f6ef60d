"""Opening a model file as its operators, by its ending."""

from pathlib import Path
from typing import Final

from lwmport.errors import UsageError
from lwmport.registry import Registry
from lwmport.runtime.pieces.spec import Pieces

OPENERS: Final = Registry(
    "ending of a file that can be taken apart",
    {
        ".onnx": "lwmport.runtime.pieces.onnx:open_onnx",
        ".tflite": "lwmport.runtime.pieces.tflite:open_tflite",
        ".pb": "lwmport.runtime.pieces.tensorflow:open_frozen_graph",
        ".saved_model": "lwmport.runtime.pieces.tensorflow:open_saved_model",
    },
)
"""Ending -> what opens such a file."""


def open_pieces(path: Path, threads: int) -> Pieces:
    """Return the operators of a model file.

    Raises:
        UsageError: no such file can be taken apart.
        ArtifactError: it is no whole file of its format.
        MissingExtraError: its runtime is not installed.
    """
    if path.suffix not in OPENERS:
        raise UsageError(f"expected a file that can be taken apart ({', '.join(OPENERS)}), found {path}")
    found: Pieces = OPENERS[path.suffix](path, threads)
    return found


TITLES: Final = {
    "onnx": "ONNX Runtime",
    "tflite": "LiteRT",
    "saved_model": "TensorFlow",
    "frozen_graph": "TensorFlow",
}
"""Format -> what runs its operators."""
