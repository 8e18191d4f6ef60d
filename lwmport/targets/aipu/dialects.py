"""How models are written for Compass: the forms that its parser takes, in ONNX and in TFLite."""

from dataclasses import replace
from typing import Final

from lwmport.converters.dialects import DIALECTS, HALF
from lwmport.targets.plain_forms import PLAIN
from lwmport.types import Dialect

OPTIMIZER: Final = (
    "Compass quantises float files itself: lwmport port --target aipu, with --compile-precision int8, or mixed for "
    "the weights of products alone"
)

AIPU: Final = Dialect(
    name="aipu",
    format="onnx",
    summary="Arm China's Compass (Zhouyi NPU): static, int32, constant masks",
    opset=23,
    opsets=(13, 23),
    composites={**PLAIN, "lwmport.gelu": ("Gelu", "Erf*Mul"), "lwmport.rms_norm": ("RMSNormalization",)},
    static=True,
    attention="unrolled",
    stores=HALF,
    quantised_by=OPTIMIZER,
)
"""The parser fuses these forms by itself: InstanceNormalization to GroupNorm, x * sigmoid(x) to Activation. In ONNX it
knows an RMS norm by its operator alone, which opset 23 is the first to have."""

AIPU_TFLITE: Final = replace(
    DIALECTS["tflite"],
    name="aipu-tflite",
    summary="Arm China's Compass (Zhouyi NPU): static, no DYNAMIC_UPDATE_SLICE, weights in the tables",
    composites={
        **DIALECTS["tflite"].composites,
        "lwmport.cache_update": ("SELECT_V2",),
        "lwmport.group_norm": ("GROUP_MOMENTS",),
    },
    static=True,
    attention="unrolled",
    embedded=True,
    quantizes={},
    rounding="",
    quantised_by=OPTIMIZER,
)
"""Compass's parser knows no offsets of buffers, and reads weights behind the tables as zeros without a word. It fuses
group norm, layer norm and RMS norm in these very forms."""
