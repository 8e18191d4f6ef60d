"""How models are written for MIGraphX: the forms on its allow-list."""

from typing import Final

from lwmport.converters.dialects import HALF
from lwmport.targets.plain_forms import PLAIN
from lwmport.types import Dialect

MIGRAPHX: Final = Dialect(
    name="migraphx",
    format="onnx",
    summary="AMD's MIGraphX (ROCm, Hygon DCU): its allow-list, static",
    opset=17,
    opsets=(13, 19),
    composites=PLAIN,
    static=True,
    attention="unrolled",
    stores=HALF,
)
"""Opset 19 is the last that its documents promise. GroupNormalization exists there with a scale of each group (18),
which it rejects, or of each channel (21), which is beyond the promise."""
