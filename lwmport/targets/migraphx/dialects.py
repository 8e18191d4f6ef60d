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
    opsets=(13, 21),
    composites={
        **PLAIN,
        "lwmport.rounded": ("QuantizeLinear:int8",),
        "quantised_dot": ("MatMulNBits:4",),
        "quantised_rows": ("Gather*Mul",),
    },
    static=True,
    attention="unrolled",
    stores=HALF,
    quantizes={"w4a16": 13, "w8a16": 21, "w8a8": 13},
)
"""Opset 19 is the last that its documents promise; blocks of 8 bits need 21, which MIGraphX 2.16 has run. Before it
GroupNormalization has a scale of each group, which it rejects."""
