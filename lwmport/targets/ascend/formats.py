"""Where ATC finds the sides of a picture."""

from typing import Final

FORMATS: Final = {"onnx": "NCHW", "frozen_graph": "NHWC"}
"""What ATC takes the sides of a picture from; it has no NHWC for ONNX."""
