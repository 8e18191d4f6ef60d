"""A contender in an environment of its own: asked there what is missing, converted there, and raced with the others."""

import importlib
import json
import os
import subprocess
import sys
import venv
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TOLERANCE = 2e-4
STAND_IN = '''
import json, pathlib, subprocess, sys

def main_export(folder, *, output, **options):
    """Convert as optimum would: by the interpreter that the tests name, which has what it takes."""
    (pathlib.Path(output) / "interpreter").write_text(sys.executable)
    given = ["--component", "llama", "--checkpoint", folder, "--to", "onnx", "--dialect", "ort", "--batch", "dynamic"]
    given += ["--out", output, "--no-validate"]
    subprocess.run([{executable!r}, "-m", "lwmport", "convert", *given], check=True)
    (pathlib.Path(output) / "llama.onnx").rename(pathlib.Path(output) / "model.onnx")
'''
MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
none (int64[1, n] input_ids, int64[1, t] attention_mask) => (float[1, n] logits) { logits = Cast<to = 1>(input_ids) }
"""


@pytest.fixture
def interpreter(tmp_path: Path) -> str:
    """Return the Python of an environment with NumPy, ONNX Runtime and a stand-in for optimum."""
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    home = packages / "optimum" / "exporters" / "onnx"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text(STAND_IN.format(executable=sys.executable), encoding="utf-8")
    for name in ("transformers", "torch"):
        (packages / f"{name}.py").touch()
    described = packages / "optimum_onnx-0.1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: optimum-onnx\nVersion: 0.1.0\n", encoding="utf-8")
    (packages / "borrowed.pth").write_text(str(Path(np.__file__).parents[1]) + "\n", encoding="utf-8")
    return str(tmp_path / "environment" / "bin" / "python")


def test_everyone_in_an_environment_of_its_own_takes_part_in_the_one_run(interpreter: str, tmp_path: Path) -> None:
    settings = ["vocab_size=320", "intermediate_size=192", "max_sequence_length=64", "scan_layers=false"]
    command = [sys.executable, str(BENCHMARKS / "llama.py"), "--config", "debug", "--layers", "1", "--rounds", "1"]
    command += [word for setting in settings for word in ("--set", setting)]
    command += ["--only", "lwmport", "optimum", "llama-cpp", "--prefill", "8", "--decode", "3", "--work", str(tmp_path)]
    command += ["--python", f"optimum={interpreter}", "--python", f"llama-cpp={interpreter}"]
    files = {"--json": tmp_path / "found.json", "--markdown": tmp_path / "found.md"}
    subprocess.run([*command, *(str(word) for pair in files.items() for word in pair)], check=True, timeout=300)
    found = json.loads(files["--json"].read_text(encoding="utf-8"))
    assert set(found["results"]) == {"lwmport", "optimum"}
    assert found["results"]["optimum"]["max_difference"] < TOLERANCE
    assert found["setting"]["environments"]["optimum"]["versions"]["optimum-onnx"] == "0.1.0"
    assert "llama_cpp" in found["left_out"]["llama-cpp"]
    table = files["--markdown"].read_text(encoding="utf-8")
    assert "optimum, ONNX Runtime in an environment of its own: Python 3" in table
    assert "optimum-onnx 0.1.0" in table


def test_a_conversion_is_done_by_the_interpreter_that_is_named(interpreter: str, tmp_path: Path) -> None:
    processes, conversions = (importlib.import_module(name) for name in ("processes", "llama_conversions"))
    job = conversions.Job(config="", checkpoint="", folder=str(tmp_path / "absent"), out=str(tmp_path / "out"))
    with pytest.raises(RuntimeError, match=r"the conversion ended with exit code 1: subprocess\.CalledProcessError"):
        processes.convert_elsewhere(Path(conversions.__file__), "optimum", job, 1, interpreter)
    assert (tmp_path / "out" / "interpreter").read_text(encoding="utf-8") == interpreter


def test_a_model_is_run_by_the_interpreter_that_is_named(interpreter: str, tmp_path: Path) -> None:
    workers, runners = (importlib.import_module(name) for name in ("workers", "llama_runners"))
    onnx.save(onnx.parser.parse_model(MODEL), tmp_path / "model.onnx")
    case = runners.Case(path=str(tmp_path / "model.onnx"), heads=1, size=2, length=4, threads=1)
    worker = workers.Worker("optimum", runners.OnnxRunner, case, interpreter)
    try:
        turn = worker.run({"prefill": np.array([[3, 4]], np.int64)})
        running = Path(f"/proc/{worker._process.pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    finally:
        worker.close()
    assert running == interpreter
    assert turn.outputs["logits"].tolist() == [[3.0, 4.0]]
    assert turn.seconds > 0
    assert turn.peak_bytes > 1e6
    assert worker._process.returncode == 0


def test_who_ends_without_a_word_is_reported(tmp_path: Path) -> None:
    workers = importlib.import_module("workers")
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    silent.chmod(0o755)
    with pytest.raises(RuntimeError, match="optimum: the process ended with exit code 3"):
        workers.Worker("optimum", dict, None, str(silent))


def test_what_another_interpreter_imports_needs_nothing_of_this_project() -> None:
    modules = "llama_conversions, llama_runners, workers, interpreters"
    code = f"import sys; sys.modules['lwmport'] = None; sys.path.insert(0, {str(BENCHMARKS)!r}); import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_environment_says_what_it_has_and_what_it_lacks(interpreter: str) -> None:
    found = importlib.import_module("interpreters").environment(interpreter, ["optimum", "nowhere"])
    assert (found.missing, found.versions["optimum-onnx"]) == (["nowhere"], "0.1.0")
    assert found.python == ".".join(str(part) for part in sys.version_info[:3])


def test_packages_added_for_this_interpreter_are_not_for_another(
    interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stray.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert importlib.import_module("interpreters").environment(interpreter, ["stray"]).missing == ["stray"]


def test_an_interpreter_that_does_not_run_leaves_its_contender_out(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("no program", encoding="utf-8")
    contender = importlib.import_module("llama_contenders").CONTENDERS["optimum"]
    assert contender.absence(str(broken)).startswith(f"{broken} does not run: ")


@pytest.mark.parametrize("word", ["optimum", "=", "optimum=", "optimum=/nowhere/python"])
def test_a_name_without_an_interpreter_is_refused(word: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected NAME=INTERPRETER, a contender and a Python that is there"):
        importlib.import_module("interpreters").named(word)


@pytest.mark.parametrize("name", ["lwmport", "stranger"])
def test_only_a_peer_may_live_elsewhere(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module("llama").main(["--python", f"{name}={sys.executable}"])
    assert f"expected a contender other than lwmport before = in --python, found {name}" in capsys.readouterr().err


def test_memory_is_what_the_kernel_says_and_none_of_who_ended() -> None:
    memory_of: Any = importlib.import_module("memory").memory_of
    own = memory_of(os.getpid())
    assert own.peak_bytes > own.anonymous_bytes > 1e6
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert memory_of(ended.pid) == type(own)(peak_bytes=0, anonymous_bytes=0)
