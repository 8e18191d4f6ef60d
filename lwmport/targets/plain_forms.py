"""The forms that a compiler without the newer operators of ONNX takes."""

from typing import Final

PLAIN: Final = {
    "lwmport.average_pool": ("AveragePool",),
    "lwmport.cache_update": ("Where",),
    "lwmport.gelu": ("Erf*Mul",),
    "lwmport.group_norm": ("InstanceNormalization",),
    "lwmport.layer_norm": ("LayerNormalization", "ReduceMean*Div"),
    "lwmport.silu": ("Sigmoid*Mul",),
    "lwmport.softmax": ("Softmax",),
    "lwmport.upsample_nearest": ("Resize",),
}
"""Forms of the first opset that are plain operators; what is not named is decomposed: RMS norm, rotary embedding."""
