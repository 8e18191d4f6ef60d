"""This machine's processor as a target."""

from typing import Final

from lwmport.targets.cpu import dialects
from lwmport.targets.target import Target

CPU: Final = Target(
    name="cpu",
    title="CPU",
    summary="ONNX Runtime, LiteRT or OpenVINO on a CPU",
    formats={"onnx": dialects.CPU, "tflite": dialects.CPU_TFLITE},
    aliases=("x86", "host"),
    rules="lwmport.targets.cpu.rules:RULES",
    compiler="lwmport.targets.cpu.compile:compile_artifact",
    makes={"onnxruntime": (".onnx",), "openvino": (".xml",)},
    engines="lwmport.targets.cpu.engines:ENGINES",
    contenders="lwmport.targets.cpu.contenders:contenders",
    public_names=True,
    doctor="lwmport.targets.cpu.doctor:DOCTOR",
    verify="python verify.py --runner {runtime}",
    residence="lwmport.targets.cpu.residence:RESIDENCE",
)
