"""``lwmport compile``: what a reader types, what a script gets."""

import json
import os
import subprocess
from pathlib import Path

import command_line
import pytest

from lwmport.errors import PortError, UsageError


def lwmport(*words: str | Path, path: Path) -> subprocess.CompletedProcess[str]:
    return command_line.lwmport(*words, PATH=f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compile")
    words = ("convert", "--component", "vqgan-decoder", "--to", "onnx", "--dialect", "onnx", "--config", "debug")
    done = lwmport(*words, "--no-validate", "--out", out, path=out)
    assert done.returncode == 0, done.stderr
    return out


ASCEND = ("--target", "ascend", "--soc", "Ascend310P3")


def test_without_the_tool_the_command_is_shown(decoder: Path, tmp_path: Path) -> None:
    done = lwmport("compile", decoder, *ASCEND, "--out", tmp_path / "out", path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SKIPPED  vqgan-decoder.onnx for ascend: expected atc, found none")
    assert "    atc --framework=5 --model=vqgan-decoder.onnx " in done.stdout
    assert "Traceback" not in done.stderr


def test_json_holds_the_same(decoder: Path, tmp_path: Path) -> None:
    done = lwmport("compile", decoder, *ASCEND, "--dry-run", "--out", tmp_path / "out", "--json", path=tmp_path)
    found = json.loads(done.stdout)
    assert found["status"] == "skipped"
    assert found["compilations"][0]["reason"] == "not run: --dry-run"
    assert found["compilations"][0]["commands"][0].startswith("atc ")


def test_a_failing_tool_exits_with_1(decoder: Path, tmp_path: Path) -> None:
    tool = tmp_path / "atc"
    tool.write_text("#!/bin/sh\necho 'ATC run success, welcome to the next use.'\n")
    tool.chmod(0o755)
    done = lwmport("compile", decoder, *ASCEND, "--out", tmp_path / "out", path=tmp_path)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "wrote no vqgan-decoder.om" in done.stdout


KEEP = (*ASCEND, "--precision", "float16", "--dry-run", "--keep-float32")


def test_a_node_that_the_model_has_stays_in_float32(decoder: Path, tmp_path: Path) -> None:
    done = lwmport("compile", decoder, *KEEP, "node:post_quant_conv/Conv", "--out", tmp_path / "out", path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "vqgan-decoder.keep_dtype.cfg").read_text() == "post_quant_conv/Conv\n"


def test_a_node_that_no_model_has_costs_one_line(decoder: Path, tmp_path: Path) -> None:
    done = lwmport("compile", decoder, *KEEP, "node:post_quant_conv/Cnov", "--out", tmp_path / "out", path=tmp_path)
    assert (done.returncode, done.stdout) == (UsageError.exit_code, "")
    assert done.stderr.splitlines()[-1] == (
        "error: expected --keep-float32 node:NAME with the name of a node of vqgan-decoder.onnx, "
        "found 'node:post_quant_conv/Cnov'; did you mean 'node:post_quant_conv/Conv'?"
    )
    assert not (tmp_path / "out").exists()


BAD = {
    "soc": (("--target", "ascend"), UsageError),
    "target": (("--target", "ascned"), UsageError),
    "gears": ((*ASCEND, "--gears", "batch"), UsageError),
    "gears twice": ((*ASCEND, "--gears", "batch=2,2"), UsageError),
    "toolchain": ((*ASCEND, "--toolchain", "/nowhere"), UsageError),
    "a toolchain that is a text file": ((*ASCEND, "--toolchain", __file__), UsageError),
    "calibration": (("--target", "aipu", "--calibration", "/nowhere"), PortError),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_usage_is_one_line(name: str, decoder: Path, tmp_path: Path) -> None:
    words, error = BAD[name]
    done = lwmport("compile", decoder, *words, "--out", tmp_path / "out", path=tmp_path)
    assert done.returncode == error.exit_code
    assert done.stderr.splitlines()[-1].startswith("error: expected")
    assert not (tmp_path / "out").exists()
