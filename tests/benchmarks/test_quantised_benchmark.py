"""The benchmark of quantised LLaMAs: who takes part, what is stated of each, and the tables."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WINDOWS = np.array([[0, 1, 2, 0], [2, 2, 1, 0]])


def logits() -> Any:
    return np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)


def test_what_is_exact_loses_nothing() -> None:
    found = importlib.import_module("divergence").compared(logits(), logits(), WINDOWS)
    assert (found.mean, found.median, found.most_of_100, found.largest, found.same_top) == (0, 0, 0, 0, 1)


def test_perplexity_is_of_the_tokens_that_follow_in_each_window() -> None:
    sure = np.full((2, 4, 3), -50.0, np.float32)
    for window, row in enumerate(WINDOWS):
        for position, token in enumerate(row[1:]):
            sure[window, position, token] = 0.0
    found = importlib.import_module("divergence").compared(logits(), sure, WINDOWS)
    assert found.perplexity == pytest.approx(1.0)
    assert found.mean > 1


def test_a_shifted_top_and_its_divergence_are_counted() -> None:
    exact, other = np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    exact[0, 0], other[0, 0] = [np.log(3), 0], [0, np.log(3)]
    found = importlib.import_module("divergence").compared(exact, other, np.zeros((1, 2), np.int64))
    assert found.same_top == 0.5
    assert found.largest == pytest.approx(0.5 * np.log(3))
    assert found.mean == pytest.approx(found.largest / 2)


def test_every_contender_converts_and_opens_a_file_of_its_own(tmp_path: Path) -> None:
    contenders, conversions = (importlib.import_module(f"quantised_{name}") for name in ("contenders", "conversions"))
    assert list(contenders.CONTENDERS) == list(conversions.CONVERTERS)
    assert {contenders.REFERENCE, contenders.BASELINE} <= set(contenders.CONTENDERS)
    files = {name: contenders.model_file(tmp_path / name, name, "folder") for name in contenders.CONTENDERS}
    assert len(set(files.values())) == len(files)
    assert files.pop("torch-bf16") == Path("folder")
    assert {path.suffix for name, path in files.items() if name.startswith("llama-cpp")} == {".gguf"}


def test_who_is_not_installed_is_listed_with_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    contenders = importlib.import_module("quantised_contenders")
    monkeypatch.setattr("interpreters.find_spec", lambda name: None if name in {"llama_cpp", "nncf"} else object())
    reasons = {name: one.absence() for name, one in contenders.CONTENDERS.items()}
    absent = {name for name, reason in reasons.items() if reason}
    assert absent == {name for name in reasons if name.startswith(("llama-cpp", "nncf"))}
    assert reasons["nncf-int4"] == "nncf not installed; run: pip install nncf"


def test_bits_are_counted_from_all_files_of_a_model(tmp_path: Path) -> None:
    contenders = importlib.import_module("quantised_contenders")
    for name, size in (("model.onnx", 3), ("model.onnx.data", 40), ("log.txt", 500)):
        (tmp_path / name).write_bytes(bytes(size))
    assert contenders.model_bytes(tmp_path / "model.onnx") == 43
    (tmp_path / "model.xml").write_bytes(bytes(5))
    (tmp_path / "weights.safetensors").write_bytes(bytes(7))
    assert contenders.model_bytes(tmp_path) == 7


def test_the_tables_name_everyone_and_whoever_is_left_out() -> None:
    results, divergence, contenders, processes, races, measure = (
        importlib.import_module(name)
        for name in ("quantised_results", "divergence", "quantised_contenders", "processes", "llama_races", "measure")
    )
    names = [contenders.REFERENCE, contenders.BASELINE]
    ratio = measure.Ratio(median=1.25, low=1.0, high=1.5)
    speed = races.Speed(seconds=(1.0,), tokens_per_second=16.0, best_tokens_per_second=17.0, ratio=ratio)
    raced = races.Result(
        stages=dict.fromkeys(races.STAGES, speed), max_difference=0.0, deviation=1.0, peak_bytes=2 * 10**9
    )
    loss = divergence.compared(logits(), logits(), WINDOWS)
    setting = dict.fromkeys(("model", "load", "text", "processor", "python"), "x")
    setting |= dict.fromkeys(("parameters", "threads", "cores", "prefill", "decode", "rounds"), 2)
    found = results.Findings(
        setting={**setting, "versions": {"nncf": "3"}, "baseline": contenders.BASELINE},
        bits=dict.fromkeys(names, 4.5),
        costs=dict.fromkeys(names, processes.Cost(seconds=1.0, peak_bytes=10**9, peak_anonymous_bytes=10**8)),
        losses=dict.fromkeys(names, loss),
        results={contenders.BASELINE: raced},
        left_out={"nncf-int4": "no room"},
    )
    table = results.markdown(found)
    assert "| lwmport w4a8, ONNX Runtime" in table
    assert "16.0 (17.0)" in table
    assert "1.25 (1.00-1.50)" in table
    assert "Left out: nncf int4, OpenVINO: no room" in table
    assert found.to_json()["bits"] == {"float32": 4.5, "lwmport-w4a8": 4.5}


def test_a_product_is_raced_by_the_group(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed; run: pip install 'lwmport[onnx]'")
    groups = importlib.import_module("groups")
    groups.main(["--inputs", "128", "--outputs", "8", "--threads", "1", "--rounds", "1"])
    _, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [tuple(row[:2]) for row in cells] == [(b, g) for b in ("4", "8") for g in ("32", "64", "128")]
    assert [row[3] for row in cells if row[1] == "32"] == ["1.00 (1.00-1.00)"] * 2
