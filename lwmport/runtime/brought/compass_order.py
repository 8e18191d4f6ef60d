"""In which order of axes Compass has a tensor of four sizes: the parser turns an ONNX model to channels last.

A convolution has channels last, an input has the model's order, and what works on each value by itself keeps the order
that it gets. Anything else may have either: it is then told by the sizes, or not at all.
"""

from collections.abc import Mapping
from typing import Final

from lwmport.runtime.brought.layouts import EITHER, LAST

CHANNELS_LAST: Final = frozenset({"Convolution", "DepthwiseConv", "ConvTranspose", "DeformableConv", "Pooling"})
KEEPING: Final = frozenset(
    {
        *("Activation", "BatchNorm", "Cast", "Concat", "DeQuantize", "Div", "Eltwise", "Erf", "GroupNorm"),
        *("InstanceNorm", "Interp", "LayerNorm", "Logical", "MVN", "Pad", "Pow", "Quantize", "Resize"),
        *("Rsqrt", "Slice", "Softmax", "Sqrt", "Square", "Where"),
    }
)
"""Layers that keep the order of axes that they get."""


def order_of(kind: str, rank: int, inputs: list[str], orders: Mapping[str, tuple[int, str]]) -> str:
    """Return the order of a layer's outputs.

    Args:
        kind: type of the layer.
        rank: sizes of its output.
        inputs: names of the tensors that it gets.
        orders: tensor -> its number of sizes and its order.
    """
    if rank != 4 or kind == "Input":
        return ""
    if kind in CHANNELS_LAST:
        return LAST
    given = {order for name in inputs for size, order in (orders.get(name, (0, "")),) if size == rank}
    return given.pop() if kind in KEEPING and len(given) == 1 else EITHER
