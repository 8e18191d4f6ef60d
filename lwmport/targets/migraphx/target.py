"""AMD's GPUs and Hygon's DCUs as a target."""

from typing import Final

from lwmport.targets.migraphx import dialects
from lwmport.targets.migraphx.chips import CHIPS
from lwmport.targets.target import Target

MIGRAPHX: Final = Target(
    name="migraphx",
    title="MIGraphX",
    summary="AMD GPUs and Hygon DCUs: MIGraphX makes an .mxr, or runs under ONNX Runtime",
    formats={"onnx": dialects.MIGRAPHX},
    aliases=("dcu", "rocm", "hygon", "amd", "amdgpu"),
    rules="lwmport.targets.migraphx.rules:RULES",
    compiler="lwmport.targets.migraphx.compile:VENDOR",
    makes={"": (".mxr",)},
    chips=CHIPS,
    devices=("ref",),
    options=("chip", "extra", "toolchain"),
    fixes="lwmport.targets.migraphx.fixes:FIXES",
    doctor="lwmport.targets.migraphx.doctor:DOCTOR",
    operator_lists={"onnx": "lwmport.targets.migraphx.operators:ONNX"},
    verify="python verify.py --runner onnxruntime-migraphx",
)
