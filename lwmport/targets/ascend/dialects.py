"""How models are written for CANN: the forms that ATC takes, at which opsets."""

from dataclasses import replace
from typing import Final

from lwmport.converters.dialects import HALF
from lwmport.targets.plain_forms import PLAIN
from lwmport.types import Dialect

ASCEND: Final = Dialect(
    name="ascend",
    format="onnx",
    summary="Huawei's CANN (ATC): default domain, static, finite masks; opset 17, 13 or 11 for an old CANN",
    opset=17,
    opsets=(11, 18),
    composites={
        **PLAIN,
        "lwmport.group_norm": ("InstanceNormalization4D",),
        "lwmport.rounded": ("QuantizeLinear:int8",),
        "lwmport.softmax": ("Softmax", "SoftmaxLastAxis"),
        "lwmport.upsample_nearest": ("ResizeHalfPixel",),
    },
    static=True,
    attention="unrolled",
    stores=HALF,
    quantizes={"w8a8": 13},
    rounding="pairs",
    quantised_by="weights alone are a folder for MindIE: --to hf --dialect mindie --quantize w8a16",
)
"""ATC looks for a parser under ``ai.onnx::OPSET::OPERATOR`` and has them from 8 to 18: 17 is the first with
LayerNormalization, 18 lacks ReduceL1 and ReduceL2. Group norm as InstanceNormalization is what CANN fuses; ATC ignores
the rounding of a nearest Resize, so that none may be needed. Convolutions of integers are pairs that AMCT's
convert_qat_model makes AscendQuant and AscendDequant of: only what goes in has them, and kernels, whose values stay
float32, with a scale for each channel. It takes no products so, but with one scale for the whole matrix."""

ASCEND_NPU: Final = replace(
    ASCEND,
    name="ascend-npu",
    quantizes={},
    rounding="",
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

ASCEND_DEPLOY: Final = replace(
    ASCEND,
    name="ascend-deploy",
    summary="as ascend; with --quantize w8a8 AscendQuant and AscendDequant, as AMCT deploys them: ATC needs no AMCT",
    composites={**ASCEND.composites, "lwmport.rounded": ("AscendQuant",)},
    quantizes={"w8a8": 13},
    rounding="deployed",
    runner="ascend-pairs",
)
"""Kernels are int8 and biases int32 in it, so that it is as small as what AMCT makes. ATC has parsers for both
operators from opset 8 on (hicann/ops-nn); no other reader has them."""
