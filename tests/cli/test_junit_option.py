"""``--junit FILE`` of every command that judges: the same verdict as the exit code, and no file of the user's lost."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import onnx
import pytest
from click.testing import CliRunner

import lwmport
from lwmport.cli.junit import junit
from lwmport.cli.main import cli
from lwmport.errors import PortError, RunnerError, UsageError
from lwmport.reports.junit import Result
from lwmport.types import Status


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("junit") / "out"
    lwmport.convert(component="vqgan-decoder", format="onnx", out=out, config="debug", validate=False)
    return out


def run(*words: Any) -> int:
    done = CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value)


def told(path: Path) -> dict[str | None, list[str]]:
    """Return test case -> the elements in it."""
    (suite,) = ET.parse(path).getroot()  # noqa: S314 - our own file
    return {case.get("name"): [inner.tag for inner in case] for case in suite}


@pytest.mark.parametrize("command", ["validate", "port", "check"])
def test_every_command_that_judges_has_the_option(command: str) -> None:
    assert "--junit FILE" in CliRunner().invoke(cli, [command, "--help"]).output


def test_validate_tells_what_it_judged(made: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("validate", made, "--junit", tmp_path / "new" / "junit.xml") == 0
        assert told(tmp_path / "new" / "junit.xml") == {"outputs": []}


def test_check_tells_a_broken_rule(tmp_path: Path) -> None:
    node = onnx.helper.make_node("NotAnOperator", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:])), tmp_path / "m.onnx")
    assert run("check", tmp_path / "m.onnx", "--target", "cpu", "--junit", tmp_path / "junit.xml") == 1
    assert list(told(tmp_path / "junit.xml").values()) == [["failure"]]


def test_port_tells_its_stages(tmp_path: Path) -> None:
    words = ("--component", "vqgan-decoder", "--config", "debug", "--target", "cpu", "--out", tmp_path / "out")
    assert run("port", *words, "--junit", tmp_path / "junit.xml") == 0
    assert told(tmp_path / "junit.xml").keys() == {"convert", "check", "compile", "bundle"}


@pytest.mark.parametrize(("error", "written"), [(RunnerError("gone"), True), (UsageError("no such"), False)])
def test_an_error_is_written_but_for_wrong_words(error: PortError, written: bool, tmp_path: Path) -> None:  # noqa: FBT001
    with pytest.raises(type(error)), junit(tmp_path / "junit.xml", "suite"):
        raise error
    assert (tmp_path / "junit.xml").exists() is written
    if written:
        assert told(tmp_path / "junit.xml") == {"verdict": ["error"]}


def test_a_file_of_the_users_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text("<testsuites/>")
    with pytest.raises(UsageError, match="choose another --junit"), junit(tmp_path / "junit.xml", "suite"):
        pytest.fail("something was run")
    assert (tmp_path / "junit.xml").read_text() == "<testsuites/>"


def test_without_the_option_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with junit(None, "suite") as results:
        results.append(Result(group="g", name="n", status=Status.PASSED))
    assert list(tmp_path.iterdir()) == []
