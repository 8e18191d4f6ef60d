"""The tool that runs ONNX's suite finds what dies, what hangs, what is wrong, and takes up where it was ended."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

TOOLS = Path(__file__).parents[1] / "tools"
PARSER = """
from AIPUBuilder.Parser.logger import LOGGER
from pathlib import Path

def univ_parser(config):
    name = config["input_model"]
    if "dies" in name:
        import os
        os._exit(7)
    if "refused" in name:
        LOGGER.error("Writing Foo op(y) that is not supported in serialize!")
    kept = "" if "dropped" in name else "x_0"
    Path(config["output_dir"], "model.txt").write_text(f"model_name=model\\ninput_tensors=[{kept}]\\n")
    return True
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite") / "models"
    for name, outputs in {"right": 2.0, "refused": 2.0, "dropped": 2.0, "dies": 2.0, "other": 3.0}.items():
        inside = folder / name
        (inside / "test_data_set_0").mkdir(parents=True)
        x = onnx.helper.make_tensor_value_info("x", 1, [2])
        y = onnx.helper.make_tensor_value_info("y", 1, [2])
        graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"], name=name)], "g", [x], [y])
        opsets = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), inside / "model.onnx")
        for word, array in (("input", np.ones(2, np.float32)), ("output", np.full(2, outputs, np.float32))):
            path = inside / "test_data_set_0" / f"{word}_0.pb"
            path.write_bytes(numpy_helper.from_array(array).SerializeToString())
    return folder


@pytest.fixture(scope="module")
def results(suite: Path) -> Path:
    parser = suite.parent / "AIPUBuilder" / "Parser"
    parser.mkdir(parents=True)
    (parser.parent / "__init__.py").touch()
    (parser / "__init__.py").touch()
    (parser / "logger.py").write_text("class Logger:\n    pass\n\nLOGGER = Logger()\n")
    (parser / "univ_parser.py").write_text(PARSER)
    out = suite.parent / "results"
    stages = ["--stage", "check", "--stage", "runtime", "--stage", "compass"]
    run(suite.parent, "run", suite, out, *stages, "--compass", sys.executable)
    return out


def run(parser: Path, *words: Any) -> str:
    environment = {"PYTHONPATH": str(parser), "PATH": "/usr/bin:/bin", "HOME": str(parser)}
    command = [sys.executable, str(TOOLS / "onnx_suite.py"), *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def test_each_verdict_is_held_against_its_judge(suite: Path, results: Path) -> None:
    found = json.loads(run(suite.parent, "count", results))
    assert found["models"] == 5
    assert found["stages"]["runtime"] == {"takes": 5}
    assert found["stages"]["compass"] == {"died": 1, "refuses": 2, "takes": 2}
    assert found["faults"] == {"compass": {"died": ["dies/model.onnx"]}}
    assert found["cpu against ONNX Runtime"]["counts"] == {"we say passed, it takes": 5}
    against = found["aipu against Compass's parser"]
    assert against["counts"] == {"we say passed, it takes": 2, "we say passed, it refuses": 2, "not judged": 1}
    assert against["differ"] == {"we say passed, it refuses": ["dropped/model.onnx", "refused/model.onnx"]}


def test_a_second_run_adds_nothing(suite: Path, results: Path) -> None:
    before = (results / "results.jsonl").read_bytes()
    run(suite.parent, "run", suite, results, "--stage", "check", "--stage", "runtime", "--stage", "compass")
    assert (results / "results.jsonl").read_bytes() == before


def test_outputs_are_held_against_the_data_of_the_suite(results: Path) -> None:
    lines = [json.loads(line) for line in (results / "results.jsonl").read_text().splitlines()]
    said = {line["model"]: line["said"] for line in lines if line["stage"] == "runtime"}
    assert said["right/model.onnx"] == "equal"
    assert said["other/model.onnx"].startswith("differs")


def test_a_copy_with_other_numbers_is_a_fault_where_the_model_itself_has_them() -> None:
    count = runpy.run_path(str(TOOLS / "onnx_suite_counts.py"))["count"]
    model = {"model": "a", "status": "passed"}
    lines = [
        {"model": "a", "stage": "runtime", "takes": True, "said": "equal"},
        {**model, "stage": "fix-ascend", "truth": "differs: 7 times as far off as allowed"},
        {**model, "stage": "fix-aipu", "truth": "equal"},
        {"model": "b", "stage": "runtime", "takes": True, "said": "differs: 2 times as far off as allowed"},
        {**model, "model": "b", "stage": "fix-ascend", "truth": "differs: 2 times as far off as allowed"},
    ]
    assert count(lines)["faults"] == {"fix-ascend": {"wrong numbers": ["a"]}}


def test_the_suite_of_the_installed_onnx_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: Path
) -> None:
    files = runpy.run_path(str(TOOLS / "onnx_suite_files.py"))
    monkeypatch.setitem(files["make"].__globals__, "_cases", list)
    monkeypatch.setitem(files["make"].__globals__, "onnx", type("Onnx", (), {"__file__": str(tmp_path / "none")}))
    assert files["make"](tmp_path / "out", [suite, suite]) == 5
    assert len(files["models"](tmp_path / "out")) == 5
    assert len(files["data_sets"](tmp_path / "out" / "1" / "right" / "model.onnx")) == 1
