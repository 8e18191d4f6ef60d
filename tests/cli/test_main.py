"""The command line: exit codes, one-line errors, JSON, and nothing written when something goes wrong."""

import importlib
import json
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import lwmport

from lwmport.cli import interruption
from lwmport.errors import CheckpointError, UsageError

CONVERT = ("convert", "--component", "vqgan", "--to", "onnx", "--config", "debug")


def anew(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Return what a process of its own says: it has another seed of hashes than this one, and imports what it needs."""
    command = [sys.executable, "-m", "lwmport", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("cli") / "out"
    return out, anew(*CONVERT, "--out", out, "--json")


def test_convert_writes_everything(converted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, done = converted
    assert done.returncode == 0, done.stderr
    names = {path.name for path in out.iterdir()}
    models = {f"vqgan-{half}.onnx{data}" for half in ("encoder", "decoder") for data in ("", ".data")}
    assert names == models | {"manifest.json", "report.html", "report.json", "report.md", "pictures"}


def test_json_is_one_document_with_the_same_facts(converted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, done = converted
    found = json.loads(done.stdout)
    assert found["status"] == "passed"
    assert found["report"] == str(out / "report.html")
    assert found["manifest"] == json.loads((out / "manifest.json").read_text())
    assert {part["component"] for part in found["validations"]} == {"vqgan-encoder", "vqgan-decoder"}


def test_seeded_weights_are_named_wherever_numbers_are(
    converted: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = converted
    assert (
        "seeded random weights (seed 0), not trained" in json.loads(done.stdout)["manifest"]["weights"]["description"]
    )
    for name in ("report.html", "report.md"):
        assert "not trained" in (out / name).read_text()
    shown = lwmport("validate", out)
    numbers = [line for line in shown.stdout.splitlines() if "largest error" in line or " s a run" in line]
    assert numbers
    assert all("not trained" in line for line in numbers)


def test_plain_lines_of_progress_go_to_standard_error(
    converted: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = converted
    assert "vqgan-encoder: trace" in done.stderr
    assert "\x1b" not in done.stderr


def test_validate_passes_and_report_agrees(
    converted: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    out, _ = converted
    done = lwmport("validate", out, "--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-2] == f"report: {tmp_path / 'again' / 'report.html'}"
    assert lines[-1].startswith("PASSED  Numerically equal on a CPU (3 photographs): 3 of 3 outputs agree with JAX")
    shown = lwmport("report", tmp_path / "again")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[-1] == lines[-1], "one verdict everywhere"


def test_one_artifact_can_be_named(converted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, _ = converted
    done = lwmport("validate", out / "vqgan-decoder.onnx", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert [part["component"] for part in found["validations"]] == ["vqgan-decoder"]
    assert found["report"] is None


def test_a_changed_artifact_fails(converted: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(converted[0], copy)
    with (copy / "vqgan-decoder.onnx.data").open("r+b") as file:
        file.seek(4096 * 3 + 11)
        file.write(b"\x55" * 64)
    done = lwmport("validate", copy)
    assert "vqgan-decoder.onnx.data is not the file that was converted" in done.stdout
    assert done.returncode == 1
    assert (copy / "report.html").exists()
    assert "report: " not in done.stdout, "the report there is that of the conversion, which passed"
    assert f"lwmport report {copy}" in done.stdout, "so it is told how to bring that up to date"


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, run in (("one", anew), ("two", lwmport)):
        assert run(*CONVERT, "--no-validate", "--out", tmp_path / name).returncode == 0
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_without_validation_there_is_no_report(tmp_path: Path) -> None:
    done = lwmport(*CONVERT, "--no-validate", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert not list((tmp_path / "out").glob("report.*"))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["verdict"] == "not judged"


BAD_USAGE = {
    "component": ("convert", "--component", "vqgam", "--to", "onnx"),
    "format": ("convert", "--component", "vqgan", "--to", "onxx"),
    "dialect": (*CONVERT, "--dialect", "orr"),
    "opset": (*CONVERT, "--dialect", "onnx", "--opset", "99"),
    "batch": (*CONVERT, "--batch", "0"),
    "batch word": (*CONVERT, "--batch", "many"),
    "config": ("convert", "--component", "vqgan", "--to", "onnx", "--config", "lwn"),
    "command": ("konvert",),
    "missing option": ("convert", "--component", "vqgan"),
    "prefix": (*CONVERT, "--checkpoint", "parms::x"),
}


@pytest.mark.parametrize("name", BAD_USAGE)
def test_bad_usage_exits_with_2(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = lwmport(*BAD_USAGE[name])
    assert done.returncode == UsageError.exit_code
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch pwned",)


def _wrong_shape() -> bytes:
    return pickle.dumps({"encoder": {"Conv_0": {"kernel": np.zeros((3, 3, 3, 5), np.float32)}}})


def _truncated(tmp_path: Path) -> bytes:
    lwmport("checkpoint", "make", "--component", "vqgan", "--config", "debug", "--out", tmp_path / "whole.pkl")
    content = (tmp_path / "whole.pkl").read_bytes()
    (tmp_path / "whole.pkl").unlink()
    return content[: len(content) // 2]


def bad_checkpoints(tmp_path: Path) -> dict[str, bytes]:
    return {
        "truncated": _truncated(tmp_path),
        "empty": b"",
        "wrong format": b"PK\x03\x04 a zip file, which is no checkpoint of ours",
        "text": b"hello\n",
        "wrong shape": _wrong_shape(),
        "hostile": pickle.dumps(Hostile()),
        "hostile inside": pickle.dumps({"encoder": Hostile()}),
    }


def test_bad_checkpoints_cost_one_line_and_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, out = tmp_path / "kept", tmp_path / "work" / "out"
    for folder in (kept, out.parent):
        folder.mkdir()
    monkeypatch.chdir(out.parent)
    for name, content in bad_checkpoints(kept).items():
        (kept / name).write_bytes(content)
        done = lwmport(*CONVERT, "--out", out, "--checkpoint", kept / name)
        lines = [line for line in done.stderr.splitlines() if line]
        assert len(lines) == 1, f"{name}: {done.stderr}"
        assert lines[0].startswith("error: "), name
        assert done.returncode == CheckpointError.exit_code, name
    assert not list(out.parent.iterdir())


def test_every_tensor_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(_wrong_shape())
    done = lwmport(*CONVERT, "--checkpoint", tmp_path / "bad.pkl", "--out", tmp_path / "out")
    for expected in ("encoder/Conv_0/kernel expected (3, 3, 3, 32) found (3, 3, 3, 5)", "decoder/Conv_0/kernel"):
        assert expected in done.stderr


def test_errors_are_json_for_a_machine(tmp_path: Path) -> None:
    done = lwmport(*CONVERT, "--checkpoint", tmp_path / "none.pkl", "--json")
    found = json.loads(done.stdout)
    assert found["exit_code"] == done.returncode == CheckpointError.exit_code
    assert "none.pkl" in found["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "x.onnx"), "Missing option '--target'."),
        (("doctor", "ascend"), "Got unexpected extra argument (ascend)"),
        (("bundle", "x", "--target", "cpu"), "Missing option '--out'."),
        (("port",), "expected JOBS.toml, or --component and --target, found neither"),
    ],
)
def test_wrong_usage_is_json_for_a_machine(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("lwmport.cli.main")
    monkeypatch.setattr(sys, "argv", ["lwmport", *words, "--json"])
    monkeypatch.setattr(interruption, "listen", lambda: None)
    with pytest.raises(SystemExit) as caught:
        module.main()
    told = capsys.readouterr()
    assert json.loads(told.out) == {"status": "error", "error": said, "exit_code": 2}
    assert caught.value.code == UsageError.exit_code
    assert said in told.err


def test_a_file_where_a_folder_is_meant_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = lwmport(*CONVERT, "--no-validate", "--out", tmp_path / "file")
    assert done.returncode == UsageError.exit_code
    assert done.stderr == f"error: expected another path, found: Directory '{tmp_path / 'file'}' is a file.\n"


def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = lwmport(*CONVERT, "--no-validate", "--out", tmp_path / "file" / "out")
    assert done.returncode == UsageError.exit_code
    assert "found a file; name another --out" in done.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda stop: stop.name)
def test_interrupted_it_leaves_nothing_under_a_final_name(stop: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-m", "lwmport", *CONVERT, "--out", str(out)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(out.glob(".lwmport-*/vqgan-decoder.onnx")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert not [path for path in out.glob("*") if not path.name.startswith(".lwmport-")]
    if stop is not signal.SIGKILL:
        assert not out.exists()
        return
    assert lwmport(*CONVERT, "--no-validate", "--out", out).returncode == 0
    assert not list(out.glob(".lwmport-*")), "what a killed run left is swept away by the next"


def test_inspect_lists_offsets_and_totals(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    lwmport("checkpoint", "make", "--component", "vqgan", "--config", "debug", "--out", path)
    done = lwmport("inspect", path, "--json")
    found = json.loads(done.stdout)
    first = found["tensor_list"][0]
    content = path.read_bytes()[first["offset"] : first["offset"] + first["bytes"]]
    loaded = pickle.loads(path.read_bytes())
    for part in first["name"].split("/"):
        loaded = loaded[part]
    assert np.array_equal(np.frombuffer(content, first["dtype"]).reshape(first["shape"]), loaded)
    assert found["total_bytes"] == sum(row["bytes"] for row in found["tensor_list"])
    assert first["name"] in lwmport("inspect", path).stdout


def test_list_names_what_there_is() -> None:
    found = json.loads(lwmport("list", "--json").stdout)
    assert {"components", "formats", "dialects", "targets", "installed"} <= set(found)
    assert "vqgan-encoder" in found["components"]


REFUSED = {
    "a file": (OSError(5, "Input/output error", "weights"), "error: the system refused: weights: Input/output error"),
    "no file": (OSError("odd"), "error: the system refused: odd"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_system_refuses_is_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raised, line = REFUSED[name]

    def refuse(**_: object) -> None:
        raise raised

    module = importlib.import_module("lwmport.cli.main")
    monkeypatch.setattr(module.cli, "main", refuse)
    monkeypatch.setattr(interruption, "listen", lambda: None)
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 3
    assert capsys.readouterr().err == f"{line}\n"


def test_an_error_that_a_request_to_end_has_become_is_that_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("release unlocked lock")

    module = importlib.import_module("lwmport.cli.main")
    monkeypatch.setattr(module.cli, "main", refuse)
    monkeypatch.setattr(interruption, "listen", lambda: None)
    monkeypatch.setattr(interruption, "asked", lambda: True)
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 130
    assert capsys.readouterr().err == f"error: {module.INTERRUPTION}\n"


def test_what_nobody_foresaw_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("a name with \x1b[2J\nin it")

    module = importlib.import_module("lwmport.cli.main")
    monkeypatch.setattr(module.cli, "main", refuse)
    monkeypatch.setattr(interruption, "listen", lambda: None)
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 3
    assert capsys.readouterr().err == (
        "error: RuntimeError: a name with \\x1b[2J in it; lwmport did not foresee this: please report it, with what "
        "LWMPORT_TRACEBACK=1 before the command shows\n"
    )
    monkeypatch.setenv("LWMPORT_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="a name with"):
        module.main()
