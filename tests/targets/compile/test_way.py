"""A compilation writes the same bytes wherever model and results lie, and its script finds the model that is named."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.way import folder_of, is_apart
from lwmport.targets.registry import TARGETS
from lwmport.types import Status

JOBS: Final[Mapping[str, Mapping[str, str]]] = {
    "ascend": {"soc": "Ascend310P3", "precision": "float16"},
    "aipu": {"precision": "int8"},
    "migraphx": {"precision": "float16"},
    "cpu": {},
}


@pytest.mark.parametrize("name", JOBS)
def test_the_same_bytes_wherever_both_lie(
    name: str, job_of: Callable[..., CompileJob], calibration: dict[str, np.ndarray], tmp_path: Path
) -> None:
    job = job_of(calibration=calibration, run=False, **JOBS[name])
    elsewhere = tmp_path / "deep/in another/place/model.onnx"
    elsewhere.parent.mkdir(parents=True)
    shutil.copy(job.path, elsewhere)
    written = []
    for path, out in ((job.path, tmp_path / "results"), (elsewhere, tmp_path / "a/b/c")):
        TARGETS[name].compile_artifact(replace(job, path=path), out)
        written.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert written[0] == written[1]
    assert not any(str(tmp_path).encode() in content or b".." in content for content in written[0].values())


def test_the_script_finds_a_model_that_lies_apart(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    job, out = job_of(run=False, **JOBS["ascend"]), tmp_path / "results"
    (job.path.parent / "model.onnx.data").write_bytes(b"weights")
    tool = sdk("atc", "cat model.onnx model.onnx.data > model.om")
    found = TARGETS["ascend"].compile_artifact(job, out)
    before = {path.name for path in out.iterdir()}
    environment = {**os.environ, "PATH": f"{tool}/bin{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([out / "model.sh", "artifacts"], check=True, env=environment, cwd=tmp_path, capture_output=True)
    assert (out / "model.om").read_bytes() == b"onnxweights"
    assert {path.name for path in out.iterdir()} == before | {"model.om"}
    assert found.folder == "."


def test_what_passed_says_where_its_model_is(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    tool = sdk("atc", 'echo om > "$(echo "$@" | sed "s/.*--output=//; s/ .*//").om"; echo ATC run success')
    found = TARGETS["ascend"].compile_artifact(job_of(toolchain=tool, **JOBS["ascend"]), tmp_path / "results")
    assert (found.status, found.folder) == (Status.PASSED, "../artifacts")
    assert ".." not in (tmp_path / "results" / "model.sh").read_text()


def test_folders_of_one_another_are_together(job_of: Callable[..., CompileJob], tmp_path: Path) -> None:
    job = job_of()
    model = job.path.parent
    assert folder_of(job, model / "ascend") == ".."
    assert folder_of(job, model) == "."
    assert folder_of(job, tmp_path) == "artifacts"
    assert is_apart(job, tmp_path / "results")
    assert folder_of(replace(job, within=tmp_path), tmp_path / "results") == "../artifacts"
    assert is_apart(replace(job, within=tmp_path), tmp_path.parent / "results")
