"""Softmax and the masks before it are found in the file, and told to Compass's optimizer in its own words."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from lwmport.targets.aipu.attention import attention_keys, masked_scores
from lwmport.targets.aipu.compile import plan
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import Place

HERE = Place(model="model.onnx", out=".")
KEY = "trim_infinity_before_statistic"


def write(path: Path, op: str = "Add", name: str = "block/0/attention/Add_2", softmax: str = "Softmax") -> Path:
    """Write x added to a mask, read by a softmax."""
    value = helper.make_tensor_value_info
    mask = onnx.numpy_helper.from_array(np.asarray([0, -3e4], np.float32), "mask")
    nodes = [helper.make_node(op, ["x", "mask"], ["t"], name=name), helper.make_node(softmax, ["t"], ["y"], name="s")]
    inputs, outputs = ([value(tensor, onnx.TensorProto.FLOAT, [1, 2])] for tensor in ("x", "y"))
    graph = helper.make_graph(nodes, "g", inputs, outputs, [mask])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    return path


def test_a_masked_softmax_is_found(tmp_path: Path) -> None:
    assert masked_scores(write(tmp_path / "m.onnx")) == ("block/0/attention/Add_2",)


OTHERS = {
    "scores without a mask": {"op": "Mul"},
    "a name that the configuration cannot hold": {"name": "a>:8"},
    "no name": {"name": ""},
}


@pytest.mark.parametrize("case", OTHERS)
def test_nothing_else_is(case: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", **OTHERS[case])
    assert masked_scores(path) == ()
    assert list(attention_keys(path)) == ["enable_pass_tune_op_softmax"]


def test_a_sum_that_no_softmax_reads_is_none(tmp_path: Path) -> None:
    assert attention_keys(write(tmp_path / "m.onnx", softmax="Sigmoid")) == {}


def test_a_file_that_cannot_be_read_is_left_to_the_parser(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    assert attention_keys(tmp_path / "m.onnx") == {}


def test_the_key_names_the_very_node(tmp_path: Path) -> None:
    """Compass takes the first expression that a name begins with."""
    found = attention_keys(write(tmp_path / "m.onnx", name="h.1/Add_2"))[KEY]
    assert found == "clip(-inf, inf) & <{h[.]1/Add_2$}:clip(-32, inf)>"
    expression = found.partition("{")[2].partition("}")[0]
    assert re.match(expression, "h.1/Add_2")
    assert not re.match(expression, "h.1/Add_21")
    assert not re.match(expression, "h11/Add_2")


@pytest.mark.parametrize("precision", ["int8", "mixed", "float16", "bfloat16"])
def test_only_integers_have_it(
    precision: str, job_of: Callable[..., CompileJob], calibration: dict[str, np.ndarray]
) -> None:
    job = job_of(precision=precision, calibration=calibration)
    write(job.path)
    files = plan(replace(job, run=False), HERE).files
    for name in ("model.cfg", "model.optimize.cfg"):
        assert (KEY.encode() in files[name]) is (precision == "int8")
