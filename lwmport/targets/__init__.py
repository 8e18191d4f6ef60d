"""Vendors' devices: their dialects, checks and compilers."""

from typing import Final

TARGETS: Final = {"cpu": "ONNX Runtime on this machine"}
"""Target -> what runs the artifact there."""
