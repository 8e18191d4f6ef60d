"""The lists of operators: what the packaged data say, and how they are made from vendors' tables."""

import importlib.util
from pathlib import Path

import pytest

from lwmport.targets import operators
from lwmport.targets.aipu import operators as aipu
from lwmport.targets.ascend import operators as ascend
from lwmport.targets.migraphx import operators as migraphx

TOOL = Path(__file__).parents[3] / "tools" / "generate_target_data.py"
_spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
assert _spec is not None
assert _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

LISTS = sorted(path.stem for path in generate.DATA.glob("*.json"))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_names_its_source_and_has_many_operators(name: str) -> None:
    found = operators.listed(name)
    assert found["source"]
    assert max(len(value) for value in found.values() if isinstance(value, dict)) >= 2


def test_facts_that_decide_between_dialects() -> None:
    assert ascend.opsets("", "LayerNormalization") == (17, 18)
    assert ascend.opsets("", "ReduceL2") == (8, 17)
    assert ascend.opsets("npu", "NPURmsNorm") == (1, 1)
    assert ascend.opsets("", "GroupNormalization") is None
    assert ascend.is_unlisted("", "Trilu", "310P")
    assert ascend.is_unlisted("npu", "NPUMish", "310P")
    assert aipu.versions("", "GroupNormalization") == (18,)
    assert aipu.versions("", "Scan") is None
    assert aipu.versions("com.microsoft", "MatMulNBits") == (1,)
    assert aipu.tflite_version("DYNAMIC_UPDATE_SLICE") is None
    assert aipu.tflite_version("CONV_2D") == 6
    assert migraphx.dtypes("RMSNormalization") is None
    assert "int32" not in (migraphx.dtypes("Mul") or ())
    assert migraphx.dtypes("MeanVarianceNormalization") == ("float16", "float32", "float64")


def test_the_tool_writes_where_the_package_reads() -> None:
    assert Path(operators.__file__).parent / "data" == generate.DATA
    assert LISTS


def test_a_list_is_made_from_a_table() -> None:
    row = {"op": "Abs", "min_opset": "8", "max_opset": "18", "constraint": "", "source": ""}
    marked = "Abs: open-source kernel README marks x on Atlas 推理系列产品 / Atlas A2 训练系列产品 (NOT definitive)"
    rows = [{**row, "constraint": marked}, {**row, "op": "Constant", "min_opset": "1", "max_opset": "any"}]
    found = generate.ascend([*rows, {**row, "op": "Loop", "min_opset": ""}])
    assert found["operators"] == {"Abs": [8, 18], "Constant": [1, 18]}
    assert found["unlisted"] == {"Abs": ["310P", "910B"]}
    table = [
        {"op": "MatMulNBitsMs", "domain": "contrib/internal", "parser_versions": "1"},
        {"op": "op", "domain": "domain", "parser_versions": "parser_versions"},
        {"op": "Abs", "domain": "onnx", "parser_versions": "1 6 13"},
    ]
    assert generate.compass_onnx(table)["domains"] == {"com.microsoft": {"MatMulNBits": [1]}, "": {"Abs": [1, 6, 13]}}
    typed = [{"op": "Upsample (deprecated)", "supported": "yes", "types": "BOOL, FP16, UINT8"}]
    assert generate.migraphx(typed, ["ATen"]) == {
        "source": operators.listed("migraphx_onnx")["source"],
        "dtypes": {
            "Upsample": ["bool", "float16", "uint8"],
            "MeanVarianceNormalization": ["float16", "float32", "float64"],
        },
        "parsed": ["ATen"],
    }


def test_the_lists_are_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {
        "ascend_onnx_ops.csv": "op,min_opset,max_opset,constraint,source\nAbs,8,18,,\n",
        "compass_onnx_ops.csv": "op,domain,parser_versions\nAbs,onnx,1\n",
        "compass_tflite_ops.csv": "tflite_op,parser_versions\nABS,1 2\n",
        "migraphx_onnx_ops.csv": "op,supported,types\nAbs,yes,FP32\n",
        "migraphx_parser_ops.txt": "Abs\nATen\n",
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(generate, "DATA", tmp_path / "data")
    generate.main(tmp_path)
    assert sorted(path.stem for path in (tmp_path / "data").glob("*.json")) == LISTS
