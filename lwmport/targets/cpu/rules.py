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
_RUN: Final = "ONNX Runtime 1.31, run on ONNX's own suite"
CONTRIB: Final = ("", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")

RULES: Final = (
    Rule(
        id="P01",
        severity=ERROR,
        title="opset",
        look=looks.opset,
        vendor="Unsupported model IR version; Opset 27 is under development and support for this is limited; "
        "of one below 7 it warns, and may run it",
        fix="convert at opset 21; set ir_version in onnx.helper.make_model",
        source="ONNX Runtime, docs/Versioning.md",
    ),
    Rule(
        id="P02",
        severity=ERROR,
        title="operator that ONNX does not have",
        look=looks.unknown,
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
        look=shapes.unknown_sizes,
        vendor="it runs; memory is planned for each new shape",
        fix="fix the sizes that do not change",
        source="ONNX Runtime, docs on memory patterns",
        forms=_ALL,
        fixable=True,
    ),
    Rule(
        id="P07",
        severity=ERROR,
        title="no output",
        look=looks.nothing_out,
        vendor="At least one output should be requested",
        fix="give the graph an output",
        source=_RUN,
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
        title="operator without a kernel",
        look=looks.without_kernel,
        vendor="NOT_IMPLEMENTED: Could not find an implementation",
        fix="cast to float32 or int64 around it, or convert at another opset",
        source="data/onnxruntime_cpu.json",
    ),
    Rule(
        id="P13",
        severity=ERROR,
        title="attribute that ONNX Runtime refuses",
        look=looks.refused_attributes,
        vendor="Unrecognized attribute; or: Batchwise recurrent operations (layout == 1) are not supported",
        fix="leave the attribute out; put a Transpose before and behind a layout of 1",
        source=_RUN,
    ),
    Rule(
        id="P14",
        severity=ERROR,
        title="operand of a size that ONNX Runtime refuses",
        look=looks.refused_operands,
        vendor="Input to 'Range' op should be scalars; Non per-tensor quantization is not supported now",
        fix="give the operand the size that the kernel wants",
        source=_RUN,
    ),
    Rule(
        id="P15",
        severity=WARNING,
        title="locale of the machine",
        look=looks.locales,
        vendor="Failed to construct locale, where the machine has not installed it",
        fix="install the locale on each machine, or normalise texts before the model",
        source=_RUN,
    ),
    Rule(
        id="P16",
        severity=ERROR,
        title="size that an operator of ONNX Runtime's own refuses",
        look=contrib_limits.refused_sizes,
        vendor="head_size must be a multiple of 8, and its like: when the model runs",
        fix="write it with another operator: convert again, or with --dialect onnx",
        source="ONNX Runtime, contrib_ops/cpu/bert/*_helper.h",
    ),
)
