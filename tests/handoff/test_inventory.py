"""Operators against the vendors' own lists."""

import pytest

from lwmport.handoff.inventory import NO_LIST, inventory, text
from lwmport.manifest import ComponentEntry
from lwmport.targets.operators import ABSENT
from lwmport.types import Signature


def part(opset: int, **operators: int) -> ComponentEntry:
    return ComponentEntry(
        name="model",
        path="model.onnx",
        files=(),
        signature=Signature(inputs=(), outputs=()),
        operators=operators,
        details={"opset": opset},
        program_sha256="",
    )


@pytest.mark.parametrize(
    ("target", "form", "operator", "listed"),
    [
        ("ascend", "onnx", "Conv", True),
        ("ascend", "onnx", "Loop", False),
        ("ascend", "onnx", "com.microsoft.Gelu", False),
        ("ascend", "onnx", "npu.NPURmsNorm", True),
        ("ascend", "onnx", "npu.NPUSwiGlu", False),
        ("aipu", "onnx", "Conv", True),
        ("aipu", "onnx", "TensorScatter", False),
        ("aipu", "tflite", "CONV_2D", True),
        ("aipu", "tflite", "DYNAMIC_UPDATE_SLICE", False),
        ("migraphx", "onnx", "Conv", True),
        ("migraphx", "onnx", "Swish", False),
        ("cpu", "onnx", "Conv", None),
        ("ascend", "frozen_graph", "Conv2D", None),
    ],
)
def test_every_list_is_asked(target: str, form: str, operator: str, listed: bool | None) -> None:  # noqa: FBT001
    (fact,) = inventory(target, form, part(17, **{operator: 3})).operators
    assert (fact.operator, fact.count, fact.listed) == (operator, 3, listed)
    assert (fact.note == ABSENT) is (listed is False)
    assert (fact.note == NO_LIST) is (listed is None)


def test_the_opset_counts_for_ascend() -> None:
    assert [inventory("ascend", "onnx", part(opset, Conv=1)).operators[0].listed for opset in (17, 21)] == [True, False]


def test_the_table_begins_with_the_most_frequent() -> None:
    said = text(inventory("ascend", "onnx", part(17, Add=2, Conv=7))).splitlines()
    assert said[0].startswith("Operators of model, against ONNX plugins")
    assert [line.split()[:2] for line in said[2:]] == [["7", "Conv"], ["2", "Add"]]
