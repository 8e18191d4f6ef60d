"""One converter a format; each lowers the same traced program."""

from typing import Final

from lwmport.registry import Registry

CONVERTERS: Final = Registry("format", {"onnx": "lwmport.converters.onnx.convert:convert"})
"""Format -> ``convert(program, weights, dialect, out, progress) -> Artifact``, which writes into the folder ``out``."""
