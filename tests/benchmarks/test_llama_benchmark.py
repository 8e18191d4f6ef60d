"""The benchmark of the LLaMA: who is absent is named, who takes part computes the same, and the ratios are ratios."""

import importlib
import json
import math
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.models.llama.presets import CONFIGS
from lwmport.models.options import changes
from lwmport.pipeline.checkpoint.make import Recipe, make

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TOLERANCE = 2e-4
"""Both sides are float32 and sum in different orders; the logits' standard deviation is 1."""
SMALL = ("vocab_size=320", "intermediate_size=192", "max_sequence_length=64", "scan_layers=false")
"""As many words as the model is wide would mislead onnxruntime-genai's builder, which tells kernels by their shapes."""


def run(tmp_path: Path, *options: str) -> tuple[dict[str, Any], str]:
    files = {"--json": tmp_path / "found.json", "--markdown": tmp_path / "found.md"}
    written = [str(part) for pair in files.items() for part in pair]
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, str(BENCHMARKS / "llama.py"), "--config", "debug", "--rounds", "1", *settings]
    subprocess.run([*command, "--work", str(tmp_path), *written, *options], check=True, timeout=300)
    return json.loads(files["--json"].read_text(encoding="utf-8")), files["--markdown"].read_text(encoding="utf-8")


def test_a_small_run_holds_logits_together_and_writes_what_it_measured(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed; run: pip install 'lwmport[bench]'")
    chosen = ["lwmport", "genai-builder", "torch-export"]
    found, table = run(tmp_path, "--layers", "1", "--prefill", "8", "--decode", "3", "--only", *chosen)
    assert set(found["results"]) | set(found["left_out"]) == set(chosen)
    here = {"lwmport"} | ({"torch-export"} if find_spec("onnxscript") else set())
    assert set(found["results"]) >= here
    for result in found["results"].values():
        assert result["max_difference"] < TOLERANCE < result["deviation"]
        for speed in result["stages"].values():
            values = [*speed["ratio"].values(), *speed["seconds"], speed["tokens_per_second"]]
            assert all(math.isfinite(value) and value > 0 for value in values)
    assert found["results"]["lwmport"]["stages"]["decode"]["ratio"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert all(0 < cost["peak_anonymous_bytes"] <= cost["peak_bytes"] for cost in found["costs"].values())
    assert "transformers, torch.onnx.export, ONNX Runtime" in table
    for reason in found["left_out"].values():
        assert reason in table
    assert not list(tmp_path.glob("lwmport-benchmark-*"))


def test_who_is_not_installed_is_listed_with_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    contenders = importlib.import_module("llama_contenders")
    monkeypatch.setattr("interpreters.find_spec", lambda name: None if name == "llama_cpp" else object())
    reasons = {name: contender.absence() for name, contender in contenders.CONTENDERS.items()}
    assert reasons.pop("llama-cpp") == "llama_cpp not installed; run: pip install gguf llama-cpp-python"
    assert set(reasons.values()) == {""}


@pytest.mark.parametrize(("name", "missing"), [("lwmport", "manifest.json"), ("torch-export", "absent.onnx")])
def test_who_fails_while_it_warms_up_is_left_out(name: str, missing: str, tmp_path: Path) -> None:
    races, runners = (importlib.import_module(f"llama_{name}") for name in ("races", "runners"))
    case = runners.Case(path=str(tmp_path / "absent.onnx"), heads=1, size=2, length=4, threads=1)
    left_out: dict[str, str] = {}
    assert races.race_all({name: case}, {}, 1, left_out) == {}
    assert missing in left_out[name]


def test_models_stay_open_only_where_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    races, runners = (importlib.import_module(f"llama_{name}") for name in ("races", "runners"))
    (tmp_path / "model.onnx").write_bytes(bytes(1024))
    case = runners.Case(path=str(tmp_path / "model.onnx"), heads=1, size=2, length=4, threads=1)
    assert races.fit({"lwmport": case})
    monkeypatch.setattr(races, "free_bytes", lambda: 2047)
    assert not races.fit({"lwmport": case})


def test_halves_of_a_head_are_put_in_turn() -> None:
    gguf = importlib.import_module("llama_gguf")
    kernel = np.arange(8, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
    assert gguf._interleaved(kernel, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def write_safetensors(folder: Path, dtype: str, shape: list[int], data: bytes) -> None:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "model.norm.weight": entry}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)


def test_a_folder_of_bfloat16_is_read_a_tensor_at_a_time(tmp_path: Path) -> None:
    gguf = importlib.import_module("llama_gguf")
    values = np.array([[1.5, -2.0, 3.140625]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    write_safetensors(tmp_path, "BF16", [1, 3], bits.tobytes())
    ((name, found),) = gguf._tensors(str(tmp_path))
    assert (name, gguf._float32(found).tolist()) == ("model.norm.weight", values.tolist())


def test_a_folder_of_another_dtype_is_refused(tmp_path: Path) -> None:
    gguf = importlib.import_module("llama_gguf")
    write_safetensors(tmp_path, "F16", [1], bytes(2))
    with pytest.raises(ValueError, match=r"expected tensors of BF16, found F16: model.norm.weight"):
        next(gguf._tensors(str(tmp_path)))


def test_a_conversion_beside_cp_writes_as_many_bytes_and_tells_memory(tmp_path: Path) -> None:
    full = importlib.import_module("llama_full")
    settings = ("num_hidden_layers=1", *SMALL)
    make(Recipe(component="llama", config="debug", settings=settings, dtype="float16"), tmp_path / "small.stream")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIGS["debug"].updated(changes(settings)).to_json()), encoding="utf-8")
    found = full.measure_full(tmp_path / "small.stream", str(config), tmp_path, 1)
    (copied,), (converted,) = found.runs["cp"], found.runs["lwmport"]
    assert copied.written_bytes == (tmp_path / "small.stream").stat().st_size
    assert converted.written_bytes >= copied.written_bytes
    assert converted.predicted_bytes is not None
    assert found.ratio.median == converted.seconds / copied.seconds
    assert "cp, fsync" in full.full_markdown(found)
