"""Arm China's Zhouyi NPUs as a target."""

from typing import Final

from lwmport.targets.aipu import dialects
from lwmport.targets.aipu.chips import CHIPS
from lwmport.targets.target import Target

BY_HAND: Final = (
    "Each runs aipubuild (or cixbuild) where it is on the path, else the parts of Compass one by one, as far as",
    "they are there. aipuparse and aipuopt are open source: Arm-China/Compass_Unified_Parser and",
    "Arm-China/Compass_Optimizer on GitHub. By hand, in compile/NAME:",
    "   aipubuild NAME.cfg                   makes NAME.aipu.bin; or",
    "   aipuparse -c NAME.parse.cfg          makes NAME.txt and NAME.bin: success is '0 error(s)'",
    "   aipuopt --cfg NAME.optimize.cfg      makes NAME_o.txt and NAME_o.bin, quantised; the last lines of what it",
    "                                        says hold the cosine of each output",
    "   aipugb, as the script has it         makes aipu.bin of them; it is not open",
    "Compass's own executor runs NAME.txt and NAME_o.txt on a CPU, where aipuopt is installed:",
    "   python verify.py --runner compass --model NAME=compile/NAME/NAME_o.txt",
)

AIPU: Final = Target(
    name="aipu",
    title="Zhouyi (AIPU)",
    summary="Arm China's Zhouyi NPUs: Compass makes an aipu.bin",
    formats={"onnx": dialects.AIPU, "tflite": dialects.AIPU_TFLITE},
    aliases=("zhouyi", "compass", "npu"),
    rules="lwmport.targets.aipu.rules:RULES",
    compiler="lwmport.targets.aipu.compile:VENDOR",
    makes={"": (".bin", ".cix", ".txt")},
    precision="int8",
    chips=CHIPS,
    options=("chip", "extra", "toolchain"),
    quantises=True,
    fixes="lwmport.targets.aipu.fixes:FIXES",
    doctor="lwmport.targets.aipu.doctor:DOCTOR",
    operator_lists={
        "onnx": "lwmport.targets.aipu.operators:ONNX",
        "tflite": "lwmport.targets.aipu.operators:TFLITE",
    },
    by_hand=BY_HAND,
)
