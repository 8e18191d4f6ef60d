"""The snapshot of this machine, and the command that shows it."""

import json
import subprocess
import sys
from pathlib import Path

import command_line
import pytest

from lwmport.targets.doctor.probe import probe


def test_this_machine() -> None:
    found = probe()
    assert found.python == sys.version_info[:2]
    assert found.distributions["numpy"]
    assert found.memory > 10**8
    assert found.disk > 0
    assert found.cores >= 1
    assert "PATH" in found.environment


@pytest.fixture
def npu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cann"
    (home / "compiler/data/platform_config").mkdir(parents=True)
    (home / "compiler/data/platform_config/Ascend310P3.ini").write_text("")
    (home / "ascend_toolkit_install.info").write_text("version=8.5.0\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(home))
    return home


def test_versions_and_chips_of_a_toolkit_are_read(npu: Path) -> None:
    files = probe().files
    assert files[str(npu / "ascend_toolkit_install.info")] == "version=8.5.0\n"
    assert str(npu / "compiler/data/platform_config/Ascend310P3.ini") in files


def tool(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_tools_are_asked_and_those_that_fail_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, "npu-smi", 'echo "asked $1"')
    tool(tmp_path, "nvidia-smi", "echo no devices; exit 9")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = probe()
    assert found.said == {"npu-smi": "asked info\n"}
    assert set(found.tools) == {"npu-smi", "nvidia-smi"}


def test_a_tool_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, "npu-smi", "exec sleep 30")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("lwmport.targets.doctor.probe.PATIENCE", 0.2)
    assert probe().said == {}


def lwmport(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return command_line.lwmport("doctor", *words, **{"PATH": "/usr/bin:/bin", **environment})


def test_the_command() -> None:
    done = lwmport("--target", "ascend")
    assert done.returncode == 1, done.stderr
    assert "ERROR cann: no CANN" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("FAILED")


def test_the_command_as_json() -> None:
    done = lwmport("--target", "ascend", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["target"]) == (1, "failed", "ascend")
    assert {"check", "severity", "found", "fix"} == set(found["remarks"][0])


def test_the_command_with_an_unknown_target() -> None:
    done = lwmport("--target", "tpu")
    assert done.returncode == 2
    assert done.stderr.startswith("error: expected a target out of")


def test_a_card_s_tool_is_found_where_its_driver_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, "hy-smi", 'echo "asked $1"')
    monkeypatch.setattr("lwmport.targets.doctor.probe.DRIVERS", (str(tmp_path),))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found = probe()
    assert found.tools["hy-smi"] == str(tmp_path / "hy-smi")
    assert found.said == {"hy-smi": "asked \n", "hy-smi names": "asked --showproductname\n"}
