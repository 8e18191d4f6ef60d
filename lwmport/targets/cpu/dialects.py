"""How models are written for a CPU: as for ONNX Runtime and LiteRT."""

from dataclasses import replace
from typing import Final

from lwmport.converters.dialects import DIALECTS

CPU: Final = replace(DIALECTS["ort"], name="cpu", summary="ONNX Runtime on a CPU, as the dialect ort")
CPU_TFLITE: Final = replace(DIALECTS["litert"], name="cpu-tflite", summary="LiteRT on a CPU, as the dialect litert")
