"""What vendors take of quantised ONNX: each form beside the one that they refuse, or read wrongly."""

from pathlib import Path

import numpy as np
import pytest
from rule_cases import Build, ascend_quant, built, model, nbits, node, pair, value

from lwmport.targets.preflight import Conditions, check

QUANTISED = {"A02", "A03", "A37", "A38", "A39", "M02", "M23", "M24", "M25", "Z05", "Z35"}


def of_four_bits(width: int) -> Build:
    def build(folder: Path) -> Path:
        made = model(
            [node("DequantizeLinear", "w s", "y")], [value("x", [1])], constants={"s": np.ones((), np.float32)}
        )
        made.graph.initializer.add(name="w", data_type=22, dims=(4, width), raw_data=bytes(2 * width))
        return built(made)(folder)

    return build


def blocks(groups: int) -> Build:
    constants = {"w": np.zeros((32, 4), np.int8), "s": np.ones((groups, 4), np.float32)}
    made = node("DequantizeLinear", "w s", "y", axis=0, block_size=32 // groups)
    return built(model([made], [value("x", [1])], constants=constants, opset=21))


@pytest.mark.parametrize(
    ("target", "build", "expected"),
    [
        ("ascend", pair(scales=4), {"A37"}),
        ("ascend", pair("MatMul"), {"A37"}),
        ("ascend", pair("Gemm", scales=4), {"A37", "A38"}),
        ("ascend", pair("Relu"), {"A37", "A38"}),
        ("ascend", pair(partner="ws z"), {"A37"}),  # another constant of the same value
        ("ascend", pair(partner="two z"), {"A37", "A38"}),
        ("ascend", pair(own=True), {"A38"}),
        ("ascend", pair(dtype=np.float16), {"A37", "A38"}),
        ("ascend", nbits(), {"A02"}),
        ("ascend", ascend_quant(), set()),
        ("ascend", ascend_quant(round_mode="Nearest"), {"A39"}),
        ("ascend", ascend_quant(dst_type=2), {"A39"}),
        ("migraphx", pair(scales=4), set()),
        ("migraphx", nbits("x b s z"), set()),
        ("migraphx", nbits("x b s z", zeros=(4, 1)), {"M23"}),
        ("migraphx", nbits(block=8), {"M23"}),
        ("migraphx", nbits("x b s - - c"), {"M24"}),
        ("migraphx", of_four_bits(4), set()),
        ("migraphx", of_four_bits(3), {"M25"}),
        ("migraphx", blocks(2), set()),
        ("migraphx", blocks(1), {"M25"}),
        ("aipu", pair(own=True), set()),
        ("aipu", pair(), {"Z35"}),
        ("aipu", nbits(), {"Z35"}),
    ],
)
def test_a_form_gets_these_rules(target: str, build: Build, expected: set[str], tmp_path: Path) -> None:
    found = check(build(tmp_path), Conditions(target=target)).findings
    assert {finding.rule for finding in found} & QUANTISED == expected


def test_what_is_lost_is_named(tmp_path: Path) -> None:
    findings = check(nbits("x b s z - c")(tmp_path), Conditions(target="migraphx")).findings
    (lost,) = (finding for finding in findings if finding.rule == "M24")
    assert "zero points and bias beside 6 operands" in str(lost)
