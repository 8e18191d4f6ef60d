"""What the readers of a format differ in, as data. A dialect's forms are names in its converter's table of forms."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from lwmport.errors import UsageError
from lwmport.models.schemes import BLOCKS
from lwmport.registry import check_known
from lwmport.types import Dialect

_STANDARD: Final = {
    "lwmport.average_pool": ("AveragePool",),
    "lwmport.cache_update": ("TensorScatter", "Where"),
    "lwmport.causal_attention": ("Attention",),
    "lwmport.gelu": ("Gelu", "Erf*Mul"),
    "lwmport.group_norm": ("GroupNormalization", "InstanceNormalization"),
    "lwmport.layer_norm": ("LayerNormalization", "ReduceMean*Div"),
    "lwmport.rms_norm": ("RMSNormalization",),
    "lwmport.rotary_embedding": ("RotaryEmbedding",),
    "lwmport.silu": ("Swish", "Sigmoid*Mul"),
    "lwmport.softmax": ("Softmax",),
    "lwmport.upsample_nearest": ("Resize",),
}

_QUANTISED: Final = {
    "lwmport.rounded": ("QuantizeLinear:int8",),
    "quantised_dot": ("DequantizeLinear*MatMul",),
    "quantised_rows": ("Gather*Mul",),
}
"""Products and rows of weights that are stored as integers, and values that are rounded, in standard operators."""

_BLOCKS: Final = {"w8a16": 21, "w4a16": 21, "w8a8": 13}
"""Kinds of ``--quantize`` in standard operators -> the opset from which DequantizeLinear has blocks and int4, or a
scale for each channel."""

_TENSORFLOW: Final = {
    "lwmport.average_pool": ("AvgPool",),
    "lwmport.cache_update": ("ConcatV2",),
    "lwmport.gelu": ("Erf*Mul",),
    "lwmport.group_norm": ("ChannelMeans",),
    "lwmport.layer_norm": ("SquaredDifference",),
    "lwmport.rms_norm": ("Mean*Rsqrt",),
    "lwmport.silu": ("Sigmoid*Mul",),
    "lwmport.softmax": ("Softmax",),
    "lwmport.upsample_nearest": ("ResizeNearestNeighbor",),
}

_TFLITE: Final = {
    "lwmport.average_pool": ("AVERAGE_POOL_2D",),
    "lwmport.cache_update": ("DYNAMIC_UPDATE_SLICE",),
    "lwmport.gelu": ("GELU",),
    "lwmport.group_norm": ("CHANNEL_MEANS",),
    "lwmport.layer_norm": ("SUB*RSQRT",),
    "lwmport.nearest_code": ("ARG_MIN",),
    "lwmport.rms_norm": ("MEAN*RSQRT",),
    "lwmport.rotary_embedding": ("SWAPPED_PAIRS",),
    "lwmport.silu": ("LOGISTIC*MUL",),
    "lwmport.softmax": ("SOFTMAX",),
    "lwmport.upsample_nearest": ("RESIZE_NEAREST_NEIGHBOR",),
}

_LITERT: Final = {
    **_TFLITE,
    "lwmport.upsample_nearest": ("DOUBLED_WINOGRAD", "CONCATENATION"),
    "conv_general_dilated": ("WINOGRAD", "CONV_2D"),
}

_INTEGERS: Final = {"w8a16": 3, "w8a8": 3, "w4a8": 3}
"""Kinds of ``--quantize`` that LiteRT has kernels for -> the version of the schema, which there is one of."""

HALF: Final = ("float16",)
"""Schemes of storage of the dialects that have a Cast or a DEQUANTIZE for them."""

DIALECTS: Final[dict[str, Dialect]] = {
    "ort": Dialect(
        name="ort",
        format="onnx",
        summary="what ONNX Runtime runs fastest",
        opset=21,
        opsets=(21, 21),
        composites={
            **_STANDARD,
            "lwmport.causal_attention": ("com.microsoft.GroupQueryAttention", "com.microsoft.MultiHeadAttention"),
            "lwmport.group_norm": ("lwmport.GroupNorm",),
            "lwmport.rms_norm": ("com.microsoft.SkipSimplifiedLayerNormalization",),
            "lwmport.rotary_embedding": ("com.microsoft.RotaryEmbedding",),
            "lwmport.upsample_nearest": ("Phases", "Resize"),
            "lwmport.rounded": ("QuantizeLinear:uint8",),
            "quantised_dot": ("com.microsoft.MatMulNBits",),
            "quantised_rows": ("com.microsoft.GatherBlockQuantized",),
        },
        stores=HALF,
        quantizes={**_BLOCKS, "w4a8": 21},
        caches=("float16", "int8"),
    ),
    "onnx": Dialect(
        name="onnx",
        format="onnx",
        summary="standard operators only, any opset from 13 to 24",
        opset=21,
        opsets=(13, 24),
        composites={**_STANDARD, **_QUANTISED},
        stores=HALF,
        quantizes=_BLOCKS,
    ),
    "openvino": Dialect(
        name="openvino",
        format="onnx",
        summary="OpenVINO, any length included: standard operators that it fuses, Loop in place of Scan",
        opset=23,
        opsets=(13, 24),
        composites={
            **_STANDARD,
            **_QUANTISED,
            "lwmport.causal_attention": ("Attention:masked",),
            "lwmport.group_norm": ("ChannelMeans",),
            "lwmport.rotary_embedding": ("RotaryEmbedding:heads",),
            "lwmport.rounded": ("QuantizeLinear:uint8",),
            "scan": ("Loop", "Scan"),
        },
        stores=HALF,
        quantizes=_BLOCKS,
    ),
    "tf2onnx": Dialect(
        name="tf2onnx",
        format="onnx",
        summary="the second route: through a SavedModel and tf2onnx, to hold against the first",
        opset=18,
        opsets=(14, 18),
        composites=_TENSORFLOW,
    ),
    "litert": Dialect(
        name="litert",
        format="tflite",
        summary="what LiteRT's XNNPACK delegate takes whole",
        opset=3,
        opsets=(3, 3),
        composites=_LITERT,
        static=True,
        stores=HALF,
        quantizes=_INTEGERS,
        rounding="tflite",
        caches=("float16",),
    ),
    "tflite": Dialect(
        name="tflite",
        format="tflite",
        summary="operators as TensorFlow's own converter writes them",
        opset=3,
        opsets=(3, 3),
        composites=_TFLITE,
        static=True,
        stores=HALF,
        quantizes=_INTEGERS,
        rounding="tflite",
    ),
    "int8": Dialect(
        name="int8",
        format="tflite",
        summary="as litert, convolutions on int8 with ranges that calibration finds: --quantize w8a8",
        opset=3,
        opsets=(3, 3),
        composites={**_LITERT, "lwmport.rounded": ("QUANTIZE",)},
        static=True,
        quantizes={"w8a8": 3},
        rounding="static",
    ),
    "tf": Dialect(
        name="tf",
        format="saved_model",
        summary="plain TensorFlow operators, variables, serving_default",
        opset=2,
        opsets=(2, 2),
        composites=_TENSORFLOW,
        attention="loop",
    ),
    "xla": Dialect(
        name="xla",
        format="saved_model",
        summary="jax2tf's own output, one XlaCallModule: for serving with XLA",
        opset=2,
        opsets=(2, 2),
        composites={},
    ),
    "graphdef": Dialect(
        name="graphdef",
        format="frozen_graph",
        summary="one GraphDef with constants, for vendor tools that take framework 3",
        opset=1,
        opsets=(1, 1),
        composites={**_TENSORFLOW, "lwmport.cache_update": ("SelectV2",)},
        static=True,
    ),
    "gguf": Dialect(
        name="gguf",
        format="gguf",
        summary="a whole language model with its tokenizer, for ggml and what is built on it",
        opset=3,
        opsets=(3, 3),
        composites={},
        lowered=False,
        precisions=("float32",),
        stores=(*HALF, "bfloat16"),
        quantizes=dict.fromkeys(BLOCKS, 1),
    ),
    "hf": Dialect(
        name="hf",
        format="hf",
        summary="a whole language model as a folder of Hugging Face, for transformers, vLLM and others",
        opset=1,
        opsets=(1, 1),
        composites={},
        lowered=False,
        precisions=("float32", "float16", "bfloat16"),
        quantizes=dict.fromkeys(("w4a16", "w8a16", "w8a8"), 1),
        packing="compressed-tensors",
    ),
    "gptq": Dialect(
        name="gptq",
        format="hf",
        summary="such a folder with quantised weights as GPTQ's readers have them",
        opset=1,
        opsets=(1, 1),
        composites={},
        lowered=False,
        precisions=("float32",),
        quantizes=dict.fromkeys(("w4a16", "w8a16"), 1),
        packing="gptq",
    ),
    "awq": Dialect(
        name="awq",
        format="hf",
        summary="such a folder with quantised weights as AWQ's readers have them",
        opset=1,
        opsets=(1, 1),
        composites={},
        lowered=False,
        precisions=("float32",),
        quantizes={"w4a16": 1},
        packing="awq",
    ),
    "mindie": Dialect(
        name="mindie",
        format="hf",
        summary="such a folder with quantised weights as MindIE reads them on Ascend NPUs",
        opset=1,
        opsets=(1, 1),
        composites={},
        lowered=False,
        precisions=("float32",),
        quantizes=dict.fromkeys(("w8a16", "w8a8"), 1),
        packing="mindie",
    ),
}

_NONE: Final[Mapping[str, Dialect]] = MappingProxyType({})

DEFAULTS: Final = {
    "frozen_graph": "graphdef",
    "gguf": "gguf",
    "hf": "hf",
    "onnx": "ort",
    "saved_model": "tf",
    "tflite": "litert",
}
"""Format -> the dialect that is meant when none is named."""


def dialect_for(
    form: str, name: str | None = None, opset: int | None = None, extra: Mapping[str, Dialect] = _NONE
) -> Dialect:
    """Return the dialect of a format, by default its usual one, set to an opset if one is asked for.

    ``extra`` are dialects besides `DIALECTS`: those of the targets.

    Raises:
        UsageError: no such dialect of that format, an opset that it does not go to, or one of another format than ONNX.
    """
    dialects = {**DIALECTS, **extra}
    known = [dialect.name for dialect in dialects.values() if dialect.format == form]
    check_known(f"dialect of {form}", name or DEFAULTS[form], known)
    dialect = dialects[name or DEFAULTS[form]]
    low, high = dialect.opsets
    if opset is not None and form != "onnx":
        raise UsageError(f"expected an opset of the format onnx alone, found {opset} for {form}; leave it out")
    if opset is not None and not low <= opset <= high:
        raise UsageError(f"expected an opset from {low} to {high} for the dialect {dialect.name!r}, found {opset}")
    return dialect if opset is None else replace(dialect, opset=opset)
