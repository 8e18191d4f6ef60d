"""Which kind of work an operator does, whatever a format calls it: what two formats can be compared by."""

from collections.abc import Mapping
from typing import Final

CONTRACTION: Final = "contraction"
CONVOLUTION: Final = "convolution"
NORMALISATION: Final = "normalisation"
SOFTMAX: Final = "softmax"
ATTENTION: Final = "attention"
ELEMENTWISE: Final = "elementwise"
REDUCTION: Final = "reduction"
MOVEMENT: Final = "movement"
CONTROL: Final = "control"
OTHER: Final = "other"

MAIN: Final = (CONTRACTION, CONVOLUTION)
"""The kinds that no lowering adds or takes away: what two formats are held to."""

_JAX: Final[Mapping[str, tuple[str, ...]]] = {
    CONTRACTION: ("dot_general",),
    CONVOLUTION: ("conv_general_dilated",),
    REDUCTION: (
        *("argmax", "argmin", "cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "reduce_and", "reduce_max"),
        *("reduce_min", "reduce_or", "reduce_prod", "reduce_sum", "reduce_window_max", "reduce_window_sum", "sort"),
    ),
    MOVEMENT: (
        *("bitcast_convert_type", "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "dim_as_value"),
        *("dynamic_slice", "dynamic_update_slice", "expand_dims", "gather", "iota", "pad", "reshape", "rev", "scatter"),
        *("slice", "split", "squeeze", "stop_gradient", "transpose"),
    ),
    CONTROL: ("cond", "scan", "while"),
}
_ONNX: Final[Mapping[str, tuple[str, ...]]] = {
    CONTRACTION: ("Einsum", "FusedMatMul", "Gemm", "MatMul", "MatMulInteger", "MatMulNBits", "QLinearMatMul"),
    CONVOLUTION: ("Conv", "ConvInteger", "ConvTranspose", "FusedConv", "QLinearConv"),
    ATTENTION: ("Attention", "GroupQueryAttention", "MultiHeadAttention"),
    NORMALISATION: (
        *("BatchNormalization", "GroupNorm", "GroupNormalization", "InstanceNormalization", "LayerNormalization"),
        *("RMSNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization", "NPURmsNorm"),
        *("NPUAddRmsNorm", "NPUGroupNormSilu", "SkipSimplifiedLayerNormalization"),
    ),
    SOFTMAX: ("LogSoftmax", "Softmax"),
    REDUCTION: (
        *("ArgMax", "ArgMin", "AveragePool", "CumSum", "GlobalAveragePool", "MaxPool", "ReduceL1", "ReduceL2"),
        *("ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
        *("ReduceSumSquare", "TopK"),
    ),
    MOVEMENT: (
        *("Cast", "CastLike", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "DequantizeLinear", "Expand"),
        *("Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "QuantizeLinear", "Range", "Reshape"),
        *("Resize", "ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze"),
        *("TensorScatter", "Tile", "Transpose", "Trilu", "Unsqueeze", "Upsample"),
    ),
    CONTROL: ("If", "Loop", "Scan"),
}
_TFLITE: Final[Mapping[str, tuple[str, ...]]] = {
    CONTRACTION: ("BATCH_MATMUL", "FULLY_CONNECTED"),
    CONVOLUTION: ("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"),
    NORMALISATION: ("L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION", "odml.rms_norm"),
    SOFTMAX: ("LOG_SOFTMAX", "SOFTMAX"),
    REDUCTION: (
        *("ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "CUMSUM", "MAX_POOL_2D", "MEAN", "REDUCE_ALL", "REDUCE_ANY"),
        *("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM", "TOPK_V2"),
    ),
    MOVEMENT: (
        *("BROADCAST_TO", "CAST", "CONCATENATION", "DEPTH_TO_SPACE", "DEQUANTIZE", "DYNAMIC_UPDATE_SLICE"),
        *("EMBEDDING_LOOKUP", "EXPAND_DIMS", "FILL", "GATHER", "GATHER_ND", "PACK", "PAD", "PADV2", "QUANTIZE"),
        *("RANGE", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SCATTER_ND", "SHAPE", "SLICE"),
        *("SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK"),
    ),
    CONTROL: ("CALL_ONCE", "IF", "WHILE"),
}
_TENSORFLOW: Final[Mapping[str, tuple[str, ...]]] = {
    CONTRACTION: ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul", "XlaDotV2"),
    CONVOLUTION: ("Conv2D", "Conv2DBackpropInput", "Conv3D", "DepthwiseConv2dNative"),
    NORMALISATION: ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
    SOFTMAX: ("LogSoftmax", "Softmax"),
    REDUCTION: ("All", "Any", "ArgMax", "ArgMin", "AvgPool", "Cumsum", "Max", "MaxPool", "Mean", "Min", "Prod", "Sum"),
    MOVEMENT: (
        *("BroadcastTo", "Cast", "ConcatV2", "Const", "ExpandDims", "Fill", "Gather", "GatherNd", "GatherV2"),
        *("Identity", "IdentityN", "MirrorPad", "NoOp", "Pack", "Pad", "PadV2", "Placeholder", "Range"),
        *("ReadVariableOp", "Reshape", "ResizeNearestNeighbor", "ScatterNd", "Shape", "Slice", "Split", "SplitV"),
        *("Squeeze", "StridedSlice", "TensorScatterUpdate", "Tile", "Transpose", "Unpack"),
    ),
    CONTROL: ("Case", "If", "PartitionedCall", "StatefulPartitionedCall", "StatelessIf", "StatelessWhile", "While"),
}

VOCABULARIES: Final[Mapping[str, Mapping[str, str]]] = {
    name: {operator: kind for kind, operators in table.items() for operator in operators}
    for name, table in {"JAX": _JAX, "ONNX": _ONNX, "TFLite": _TFLITE, "TensorFlow": _TENSORFLOW}.items()
}
"""Whose operators -> operator -> its kind; one that is not here works on each element."""


def kind_of(vocabulary: str, operator: str) -> str:
    """Return the kind of an operator; one that no table has is taken to work on each element."""
    return VOCABULARIES[vocabulary].get(operator, ELEMENTWISE)
