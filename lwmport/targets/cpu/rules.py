"""The rules of ONNX Runtime, LiteRT and TensorFlow on a CPU."""

from dataclasses import replace
from typing import Final

from lwmport.targets.cpu import looks
from lwmport.targets.graphs import external
from lwmport.targets.rules import contrib_limits, files, numbers, registration, shapes, shared
from lwmport.targets.rules.rule import Rule
from lwmport.types import Severity

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_ALL: Final = ("onnx", "tflite", "frozen_graph")
CONTRIB: Final = ("", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")

RULES: Final = (
    Rule(
        id="P01",
        severity=ERROR,
        title="opset",
        look=registration.opset_within(7, 26),
        vendor="Opset is under development, or not supported",
        fix="convert at opset 21",
        source="ONNX Runtime, docs/Versioning.md",
    ),
    Rule(
        id="P02",
        severity=ERROR,
        title="operator that ONNX does not have",
        look=registration.unknown_to_onnx,
        vendor="No Op registered for it, or: is not a registered function/op",
        fix="use another opset or operator",
        source="onnx, docs/Operators.md",
    ),
    Rule(
        id="P03",
        severity=ERROR,
        title="domain of an operator",
        look=registration.foreign_domains_without_function(*CONTRIB),
        vendor="is not a registered function/op",
        fix="carry a function for it, or register a custom library",
        source="ONNX Runtime, docs/ContribOperators.md",
    ),
    replace(
        shared.EXTERNAL,
        id="P04",
        look=files.external_kinds(external.OUTSIDE, external.MISSING),
        vendor="External data path escapes the model's directory, or does not exist",
        source="ONNX Runtime, since 1.20",
    ),
    replace(shared.TOO_LARGE, id="P05", vendor="Protobuf parsing failed"),
    Rule(
        id="P06",
        severity=NOTE,
        title="dynamic shape",
        look=shapes.dynamic_inputs,
        vendor="it runs; memory is planned for each new shape",
        fix="fix the sizes that do not change",
        source="ONNX Runtime, docs on memory patterns",
        forms=_ALL,
        fixable=True,
    ),
    replace(
        shared.ENDS,
        id="P07",
        vendor="it runs on nothing, or returns nothing",
        source="onnx, docs/IR.md",
        forms=_ALL,
    ),
    Rule(
        id="P08",
        severity=WARNING,
        title="weights that are no numbers",
        look=numbers.not_finite,
        vendor="it runs; every output that they reach is NaN",
        fix="mend the checkpoint",
        source="IEEE 754",
        forms=_ALL,
    ),
    Rule(
        id="P09",
        severity=NOTE,
        title="half precision on a CPU",
        look=looks.half_precision,
        vendor="it runs; most operators are cast to float32 and back",
        fix="convert with --precision float32",
        source="ONNX Runtime's CPU provider has few kernels in float16",
    ),
    Rule(
        id="P10",
        severity=ERROR,
        title="custom TFLite operator",
        look=registration.custom_tflite,
        vendor="Encountered unresolved custom op",
        fix="write it as built-in operators, or register it",
        source="LiteRT, docs on custom operators",
        forms=("tflite",),
    ),
    replace(shared.NOT_WHOLE, id="P11", vendor="This is an invalid model"),
    Rule(
        id="P12",
        severity=ERROR,
        title="size that an operator of ONNX Runtime's own refuses",
        look=contrib_limits.refused_sizes,
        vendor="head_size must be a multiple of 8, and its like: when the model runs",
        fix="write it with another operator: convert again, or with --dialect onnx",
        source="ONNX Runtime, contrib_ops/cpu/bert/*_helper.h",
    ),
)
