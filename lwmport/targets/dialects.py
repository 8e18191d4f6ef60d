"""The dialects of the targets, as data: which forms a vendor's compiler takes, at which opsets.

What a compiler refuses besides (operators, dtypes, sizes) is data of its rules: see `lwmport.targets.rules`.
"""

from dataclasses import replace
from typing import Final

from lwmport.converters.dialects import DIALECTS, HALF
from lwmport.types import Dialect

_PLAIN: Final = {
    "lwmport.average_pool": ("AveragePool",),
    "lwmport.cache_update": ("Where",),
    "lwmport.group_norm": ("InstanceNormalization",),
    "lwmport.silu": ("Sigmoid*Mul",),
    "lwmport.softmax": ("Softmax",),
    "lwmport.upsample_nearest": ("Resize",),
}
"""Forms of the first opset that are plain operators; what is not named is decomposed: RMS norm, rotary embedding."""

ASCEND: Final = Dialect(
    name="ascend",
    format="onnx",
    summary="Huawei's CANN (ATC): default domain, static, finite masks; opset 17, 13 or 11 for an old CANN",
    opset=17,
    opsets=(11, 18),
    composites={
        **_PLAIN,
        "lwmport.group_norm": ("InstanceNormalization4D",),
        "lwmport.softmax": ("Softmax", "SoftmaxLastAxis"),
        "lwmport.upsample_nearest": ("ResizeHalfPixel",),
    },
    static=True,
    attention="unrolled",
    stores=HALF,
)
"""ATC looks for a parser under ``ai.onnx::OPSET::OPERATOR`` and has them from 8 to 18: 17 is the first with
LayerNormalization, 18 lacks ReduceL1 and ReduceL2. Group norm as InstanceNormalization is what CANN fuses; ATC ignores
the rounding of a nearest Resize, so that none may be needed."""

ASCEND_NPU: Final = replace(
    ASCEND,
    name="ascend-npu",
    summary="as ascend, with CANN's own fused operators (npu::NPURmsNorm, ...): for chips that have them",
    composites={
        **ASCEND.composites,
        "lwmport.group_norm": ("npu.NPUGroupNormSilu", "InstanceNormalization4D"),
        "lwmport.rms_norm": ("npu.NPURmsNorm",),
        "lwmport.rotary_embedding": ("npu.NPURotaryMul",),
    },
)
"""Left out, for no plugin or no agreed contract of it is known: silu times a projection (SwiGlu has no ONNX plugin) and
attention (torch_npu writes the attributes of NPUPromptFlashAttention as operands, which its plugin reads otherwise)."""

AIPU: Final = Dialect(
    name="aipu",
    format="onnx",
    summary="Arm China's Compass (Zhouyi NPU): static, int32, constant masks",
    opset=23,
    opsets=(13, 23),
    composites={**_PLAIN, "lwmport.rms_norm": ("RMSNormalization",)},
    static=True,
    attention="unrolled",
    stores=HALF,
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
)
"""Compass's parser knows no offsets of buffers, and reads weights behind the tables as zeros without a word. It fuses
group norm and RMS norm in these very forms."""

MIGRAPHX: Final = Dialect(
    name="migraphx",
    format="onnx",
    summary="AMD's MIGraphX (ROCm, Hygon DCU): its allow-list, static",
    opset=17,
    opsets=(13, 19),
    composites=_PLAIN,
    static=True,
    attention="unrolled",
    stores=HALF,
)
"""Opset 19 is the last that its documents promise. GroupNormalization exists there with a scale of each group (18),
which it rejects, or of each channel (21), which is beyond the promise."""

CPU: Final = replace(DIALECTS["ort"], name="cpu", summary="ONNX Runtime on a CPU, as the dialect ort")
CPU_TFLITE: Final = replace(DIALECTS["litert"], name="cpu-tflite", summary="LiteRT on a CPU, as the dialect litert")

_ALL: Final = (ASCEND, ASCEND_NPU, AIPU, AIPU_TFLITE, MIGRAPHX, CPU, CPU_TFLITE)
ALL_DIALECTS: Final = {dialect.name: dialect for dialect in _ALL}
"""Dialect of a target by its name; give it to `lwmport.converters.dialects.dialect_for`."""

DIALECT_OF: Final = {
    ("ascend", "onnx"): "ascend",
    ("ascend", "frozen_graph"): "graphdef",
    ("aipu", "onnx"): "aipu",
    ("aipu", "tflite"): "aipu-tflite",
    ("migraphx", "onnx"): "migraphx",
    ("cpu", "onnx"): "cpu",
    ("cpu", "tflite"): "cpu-tflite",
}
"""(target, format) -> the dialect that is meant; the first format of a target is its usual one."""

OTHERS: Final = {"ascend-npu": "ascend"}
"""Dialect besides the usual ones -> its target."""


def target_of(dialect: str) -> str | None:
    """Return the target that a dialect is for, None for the dialects of no target."""
    usual = {name: target for (target, _), name in DIALECT_OF.items() if name in ALL_DIALECTS}
    return {**usual, **OTHERS}.get(dialect)


def dialects_of(target: str, form: str) -> tuple[str, ...]:
    """Return the dialects of a target in a format, its usual one first."""
    usual = DIALECT_OF.get((target, form))
    others = tuple(name for name, owner in OTHERS.items() if owner == target and ALL_DIALECTS[name].format == form)
    return ((usual,) if usual else ()) + others
