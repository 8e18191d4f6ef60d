"""Vendors' devices: their dialects, checks and compilers."""

from typing import Final

TARGETS: Final = {
    "ascend": "Huawei Ascend NPUs: CANN's ATC makes an .om",
    "aipu": "Arm China's Zhouyi NPUs: Compass makes an aipu.bin",
    "migraphx": "AMD GPUs and Hygon DCUs: MIGraphX makes an .mxr, or runs under ONNX Runtime",
    "cpu": "ONNX Runtime, LiteRT or OpenVINO on a CPU",
}
"""Target -> who compiles for it, and to what."""
