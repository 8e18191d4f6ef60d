"""One verdict in the terminal, as JSON, on the page and by 'lwmport report', and the exit code that goes with it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import lwmport
from lwmport.cli.main import cli
from lwmport.pipeline.validate import judge
from lwmport.runtime import isolated
from lwmport.runtime.registry import RUNNERS
from lwmport.types import Array

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip
WORDS = {0: "passed", 1: "failed", 3: "not judged"}
MODEL, WEIGHTS = "llama-head.onnx", "llama-head.onnx.data"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verdicts") / "out"
    lwmport.convert(component="llama-head", format="onnx", out=out, config=SMALL)
    return out


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def run(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value), done.stdout


def verdict_on(folder: Path, out: Path) -> tuple[int, str]:
    """Validate, hold every place against the exit code, and return it with the last line of the terminal."""
    code, said = run("validate", folder, "--out", out)
    word, last = WORDS[code], said.splitlines()[-1]
    assert last.startswith(f"{word.upper()}  ")
    assert f"<h2>{word.capitalize()}</h2>" in (out / "report.html").read_text()
    assert f"<title>{word.capitalize()}: llama-head to onnx (ort)</title>" in (out / "report.html").read_text()
    assert f"**{word.upper()}.**" in (out / "report.md").read_text()
    assert json.loads((out / "report.json").read_text())["status"] == word
    code_json, document = run("validate", folder, "--json")
    found = json.loads(document)
    assert (code_json, found["status"], found["validations"][0]["status"]) == (code, word, word)
    assert found["sentence"] == last.partition("  ")[2]
    assert run("report", out) == (code, f"report: {out / 'report.html'}\n{last}\n")
    return code, last


def cut(path: Path, count: int = 5000) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def spoil(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(b"\xff" * 64 + content[64:])


def edit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-4:] = b"\x00\x00\x80\x3f"
    path.write_bytes(bytes(content))


BROKEN: Mapping[str, tuple[Callable[[Path], Any], str, str]] = {
    "weights missing": (lambda folder: (folder / WEIGHTS).unlink(), f"{WEIGHTS}: expected a file of the artifact", ""),
    "weights renamed": (lambda folder: (folder / WEIGHTS).rename(folder / "w.data"), f"{WEIGHTS}: expected a file", ""),
    "weights cut": (lambda folder: cut(folder / WEIGHTS), f"{WEIGHTS} is not the file that was", "ONNX Runtime"),
    "model cut": (lambda folder: cut(folder / MODEL, 500), f"{MODEL} is not the file that was", "ONNX Runtime"),
    "model spoiled": (lambda folder: spoil(folder / MODEL), "its digest differs", "ONNX Runtime"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_run_is_not_judged_and_the_cause_is_in_the_line(name: str, folder: Path, tmp_path: Path) -> None:
    damage, first, second = BROKEN[name]
    damage(folder)
    code, last = verdict_on(folder, tmp_path / "again")
    assert code == 3
    assert last.startswith("NOT JUDGED  Not judged: ")
    assert first in last
    assert second in last
    assert "disagree" not in last


def test_a_runtime_that_is_not_installed_is_not_judged(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(RUNNERS["onnxruntime"], needs=(lambda: "expected onnxruntime, found none; run: pip install x",))
    monkeypatch.setitem(RUNNERS.table, "onnxruntime", absent)  # type: ignore[misc]
    code, last = verdict_on(folder, tmp_path / "again")
    assert (code, "expected onnxruntime, found none; run: pip install x" in last) == (3, True)
    out = tmp_path / "new"
    request = lwmport.ConvertRequest(component="llama-head", format="onnx", out=out, config=SMALL)
    with pytest.raises(lwmport.RunnerError, match="run: pip install x; or add --no-validate"):
        lwmport.convert(request)
    assert not out.exists(), "what cannot be judged is refused before it is converted"


class Crashing:
    """A runtime that raises what it likes at its second run."""

    name = "Crashing"
    inputs = outputs = ()
    notes: tuple[str, ...] = ()
    streamed = True

    def __init__(self, answer: Mapping[str, Array]) -> None:
        self.answer, self.runs = answer, 0

    def run(self, _: Mapping[str, Array]) -> dict[str, Array]:
        raise RuntimeError("the driver\nis gone")

    def close(self) -> None:
        pass


def test_a_runtime_that_crashes_is_not_judged(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge.registry, "open_runner", lambda *_: Crashing({}))
    code, last = verdict_on(folder, tmp_path / "again")
    assert (code, "RuntimeError: the driver is gone" in last) == (3, True)


def test_a_request_to_end_is_none_of_a_runtime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> Any:
        raise RuntimeError("a lock was waited for") from KeyboardInterrupt()

    monkeypatch.setattr(judge.registry, "open_runner", stop)
    with pytest.raises(RuntimeError, match="a lock was waited for"):
        run("validate", folder)


def test_a_file_that_was_edited_fails_everywhere(folder: Path, tmp_path: Path) -> None:
    edit(folder / WEIGHTS)
    code, last = verdict_on(folder, tmp_path / "again")
    assert code == 1
    assert f"{WEIGHTS} is not the file that was converted: its digest differs" in last
    digest = json.loads((tmp_path / "again" / "report.json").read_text())["components"][0]["artifact"]["files"]
    assert {file["name"]: file["sha256"] for file in digest}[WEIGHTS] == lwmport.digest.of_file(folder / WEIGHTS)
    code, said = run("report", folder)
    assert (code, said.splitlines()[-1].startswith("FAILED  ")) == (1, True)
    assert "<h2>Failed</h2>" in (folder / "report.html").read_text()


def test_a_file_that_was_written_anew_and_became_smaller_fails_and_is_run(folder: Path, tmp_path: Path) -> None:
    before = (folder / MODEL).stat().st_size
    model = onnx.load(folder / MODEL, load_external_data=False)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, folder / MODEL)
    assert (folder / MODEL).stat().st_size < before
    code, last = verdict_on(folder, tmp_path / "again")
    assert (code, f"{MODEL} is not the file that was converted" in last) == (1, True)


def test_no_page_says_passed_for_another_file_than_was_judged(made: Path, folder: Path) -> None:
    assert run("report", folder)[0] == 0
    shutil.copy(made / WEIGHTS, folder / "kept")
    edit(folder / WEIGHTS)
    assert run("report", folder)[0] == 1
    (folder / WEIGHTS).unlink()
    assert run("report", folder)[0] == 3
    assert "<h2>Not judged</h2>" in (folder / "report.html").read_text()
    (folder / "kept").rename(folder / WEIGHTS)
    assert run("report", folder)[0] == 0
    assert (folder / "report.html").read_bytes() == (made / "report.html").read_bytes()


@pytest.mark.parametrize("name", [MODEL, WEIGHTS])
def test_a_file_that_was_cut_is_not_judged_everywhere(name: str, folder: Path, tmp_path: Path) -> None:
    cut(folder / name)
    assert run("report", folder)[0] == 3
    assert "<h2>Not judged</h2>" in (folder / "report.html").read_text()
    assert verdict_on(folder, tmp_path / "again")[0] == 3


def test_a_report_in_the_folder_itself_says_what_was_found(folder: Path) -> None:
    cut(folder / WEIGHTS)
    assert run("validate", folder, "--out", folder)[0] == 3
    assert run("report", folder)[0] == 3


def test_an_edited_model_runs_in_a_process_of_its_own(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / MODEL, load_external_data=False)
    graph = model.graph
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = ["inside" if name == output.name else name for name in node.output]
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1 << 36]), "many"))
    graph.node.extend([
        onnx.helper.make_node("ConstantOfShape", ["many"], ["zeros"]),
        onnx.helper.make_node("ReduceSum", ["zeros"], ["none"], keepdims=0),
        onnx.helper.make_node("Add", ["inside", "none"], [output.name]),
    ])  # fmt: skip
    onnx.save(model, folder / MODEL)
    code, last = verdict_on(folder, tmp_path / "again")
    assert (code, "the runs of llama-head.onnx to take at most" in last) == (3, True)
    assert run("report", folder)[0] == 3


def test_the_death_of_a_runtime_is_not_judged(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(folder / WEIGHTS)
    death = lwmport.errors.ChildError("expected the runs of it to end, found it killed by SIGSEGV", cause="signal")
    monkeypatch.setattr(isolated.child, "call", Mock(side_effect=death))
    code, last = verdict_on(folder, tmp_path / "again")
    assert (code, "found it killed by SIGSEGV" in last) == (3, True)


def test_a_manifest_of_another_artifact_fails_everywhere(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    lwmport.convert(component="llama-head", format="onnx", out=other, config=SMALL, seed=1)
    shutil.copy(other / "manifest.json", folder / "manifest.json")
    assert run("report", folder)[0] == 1
    assert run("validate", folder)[0] == 1


def test_a_tapped_model_that_was_edited_fails_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    lwmport.convert(component="llama-head", format="onnx", out=folder, config=SMALL, taps="layers")
    assert run("report", folder)[0] == run("validate", folder)[0] == 0
    (tapped,) = folder.glob("*.taps.onnx")
    cut(tapped)
    assert run("report", folder)[0] == run("validate", folder)[0] == 1
    tapped.unlink()
    assert run("report", folder)[0] == run("validate", folder)[0] == 0


def test_an_edited_report_is_refused(folder: Path) -> None:
    text = (folder / "report.json").read_text()
    (folder / "report.json").write_text(text.replace("Numerically equal", "Bit for bit the same"))
    with pytest.raises(lwmport.errors.ArtifactError, match="seal broken"):
        run("report", folder)


def test_paths_that_are_told_are_there(folder: Path, tmp_path: Path) -> None:
    _, said = run("validate", folder, "--out", tmp_path / "again")
    assert said.splitlines()[0].startswith(f"{folder / MODEL}  ")
    assert Path(said.splitlines()[0].partition("  ")[0]).is_file()
    assert json.loads(run("validate", folder, "--out", tmp_path / "again", "--json")[1])["out"] == str(folder)


def test_a_part_of_a_model_says_what_was_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = lwmport.convert(component="vqgan", format="onnx", out=out, config="debug", validate=False)
    first, second = (part.name for part in found.manifest.components)
    code, said = run("validate", tmp_path / "out" / f"{first}.onnx", "--out", tmp_path / "again")
    assert (code, f"Not judged here: {second}." in said.splitlines()[-1]) == (0, True)
    assert f"<title>Passed: {first} to onnx" in (tmp_path / "again" / "report.html").read_text()


def test_what_nobody_asked_to_judge_is_not_judged_and_no_error(tmp_path: Path) -> None:
    words = ("convert", "--component", "llama-head", "--to", "onnx", "--config", "debug", "--no-validate", "--out")
    code, said = run(*words, tmp_path / "one")
    assert (code, said.splitlines()[-1]) == (0, "NOT JUDGED  Not validated: --no-validate.")
    code, document = run(*words, tmp_path / "two", "--json")
    assert (code, json.loads(document)["status"]) == (0, "not judged")
