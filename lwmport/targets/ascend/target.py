"""Huawei's Ascend NPUs as a target."""

from typing import Final

from lwmport.converters.dialects import DIALECTS
from lwmport.targets.ascend import dialects
from lwmport.targets.ascend.chips import CHIPS, PART
from lwmport.targets.target import Target

ASCEND: Final = Target(
    name="ascend",
    title="Ascend",
    summary="Huawei Ascend NPUs: CANN's ATC makes an .om",
    formats={"onnx": dialects.ASCEND, "frozen_graph": DIALECTS["graphdef"]},
    others=(dialects.ASCEND_NPU, dialects.ASCEND_DEPLOY),
    aliases=("huawei", "cann", "npu"),
    rules="lwmport.targets.ascend.rules:RULES",
    checked_precision="float16",
    compiler="lwmport.targets.ascend.compile:VENDOR",
    makes={"": (".om",)},
    prepare="lwmport.targets.ascend.nodes:with_nodes",
    chips=CHIPS,
    usual_chip="Ascend310P3",
    asks_chip=True,
    chip_parts=PART,
    options=("cann", "chip", "extra", "keep_float32", "pictures_as_bytes", "toolchain"),
    fixes="lwmport.targets.ascend.fixes:FIXES",
    doctor="lwmport.targets.ascend.doctor:DOCTOR",
    operator_lists={"onnx": "lwmport.targets.ascend.operators:ONNX"},
    verify="python verify.py --runner ascend {models}",
    verify_model="--model {name}=compile/{name}/{name}.om",
)
