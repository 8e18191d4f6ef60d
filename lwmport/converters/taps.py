"""Models with taps: which dialects have them, and how one is written beside the model that it shows the inside of."""

from pathlib import Path
from typing import Final

from lwmport.converters import ROUTES, converter_for, shares
from lwmport.graphs.program import Program
from lwmport.registry import Registry
from lwmport.types import Artifact, Dialect, Progress, Weights

FORMATS: Final = ("onnx", "saved_model", "tflite")
"""Formats in which the names of outputs are free, so that a tap's can be one."""

BESIDE: Final = Registry("format that shares weights", {"onnx": "lwmport.converters.onnx.tapped:convert_tapped"})
"""Format -> what writes a tapped model that has its weights in the files of another."""


def can_tap(dialect: Dialect) -> bool:
    """Return whether a model in a dialect can have taps."""
    return dialect.format in FORMATS and dialect.name not in ROUTES


def convert_tapped(
    program: Program, tapped: Program, weights: Weights, dialect: Dialect, model: Path, progress: Progress
) -> Artifact:
    """Write a ``tapped`` program beside the ``model`` that was written of ``program``; that one does not change.

    In ONNX it shares the weights of the model; in other formats it has all of them again.

    Raises:
        LoweringError: the program holds an operation that the dialect cannot express.
    """
    if shares(dialect):
        beside: Artifact = BESIDE[dialect.format](program, tapped, weights, dialect, model, progress)
        return beside
    whole: Artifact = converter_for(dialect)(tapped, weights, dialect, model.parent, progress)
    return whole
