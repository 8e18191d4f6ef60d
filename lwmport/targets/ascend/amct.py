"""AMCT: QuantizeLinear and DequantizeLinear become CANN's own operators, in front of ATC, which has no parser for them.

Source: AMCT of CANN 8.5 and 9.2, pages "QAT Model Adaptation to CANN Format" and "convert_qat_model"; Ascend/samples,
amct_onnx: behind the prefix that it is given it writes ``_deploy_model.onnx`` for ATC and ``_fake_quant_model.onnx``.
"""

from typing import Final

from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import Step

AMCT: Final = "amct"
PYTHON: Final = ("python3",)
DEPLOYED: Final = "_deploy_model.onnx"
CODE: Final = "import sys, amct_onnx; amct_onnx.convert_qat_model(*sys.argv[1:])"

ABSENT: Final = "No module named 'amct_onnx'"

MISSING: Final = {
    ABSENT: "install AMCT, amct_onnx of the CANN toolkit, for this python3",
    "killed": "AMCT holds the whole model: convert it in parts",
}
"""What its Python says -> what to do."""


def is_rounded(job: CompileJob) -> bool:
    """Return whether a model has pairs that AMCT has to read first."""
    return job.format == "onnx" and "QuantizeLinear" in job.operators


def adaptation(model: str, prefix: str, deployed: str) -> Step:
    """Return the step that makes the model that ATC reads."""
    return Step(name=AMCT, tools=PYTHON, options=("-c", CODE, model, prefix), products=(deployed,), absent=ABSENT)
