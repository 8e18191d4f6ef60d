"""The benchmark's own claims: the twin computes what the flax model does, and the ratios are taken round by round."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx.parser
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.models.vqgan.config import CONFIGS
from lwmport.pipeline.checkpoint.make import Recipe, make

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TOLERANCE = 2e-5
"""Both sides are float32 and sum in different orders; pixels of the full-size model differ by as much."""


@pytest.fixture
def twin() -> ModuleType:
    pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[bench]'")
    return importlib.import_module("torch_twin")


def inputs_of(half: str) -> dict[str, Any]:
    random, config = np.random.default_rng(0), CONFIGS["debug"]
    if half == "encoder":
        shape = (1, config.resolution, config.resolution, config.num_channels)
        return {"pixel_values": random.uniform(-1, 1, shape).astype(np.float32)}
    shape = (1, config.codes_per_side, config.codes_per_side)
    return {"codebook_indices": random.integers(0, config.num_embeddings, shape, dtype=np.int32)}


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_the_twin_computes_what_the_flax_model_does(twin: ModuleType, half: str, jax_outputs: Any) -> None:
    import torch

    family = resolve(f"vqgan-{half}", "debug")
    (component,) = family.components
    weights = SeededWeights(family.weights, 0)
    inputs = inputs_of(half)
    module = twin.build(half, CONFIGS["debug"], {name: weights.read(name) for name in component.weights})
    found = module(*(torch.tensor(array) for array in inputs.values()))
    found = found if isinstance(found, tuple) else (found,)
    expected = jax_outputs(component, weights, inputs)
    for name, tensor in zip(expected, found, strict=True):
        assert str(tensor.numpy().dtype) == str(expected[name].dtype)
        np.testing.assert_allclose(tensor.numpy(), expected[name], rtol=0, atol=TOLERANCE, err_msg=name)


def test_the_twin_refuses_attention_rather_than_leave_it_out(twin: ModuleType) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="without attention"):
        twin.build("encoder", replace(CONFIGS["debug"], no_attn_mid_block=False), {})


def test_a_ratio_is_the_median_of_the_ratios_of_each_round_not_the_ratio_of_medians() -> None:
    measure = importlib.import_module("measure")
    seconds = {"base": [1.0, 4.0, 2.0], "other": [3.0, 4.0, 4.0]}
    found = measure.ratios(seconds, "base")
    assert found["base"] == measure.Ratio(median=1.0, low=1.0, high=1.0)
    assert found["other"] == measure.Ratio(median=2.0, low=1.0, high=3.0)


def test_a_round_that_slows_everyone_down_changes_no_ratio() -> None:
    measure = importlib.import_module("measure")
    quiet = {"base": [1.0, 1.0, 1.0], "other": [1.5, 1.5, 1.5]}
    noisy = {
        name: [own * load for own, load in zip(seconds, (1, 7, 3), strict=True)] for name, seconds in quiet.items()
    }
    assert measure.ratios(noisy, "base") == measure.ratios(quiet, "base")


def test_everyone_runs_once_a_round_and_everyone_starts_in_turn() -> None:
    measure = importlib.import_module("measure")
    order: list[str] = []

    def turn(name: str) -> float:
        order.append(name)
        return float(len(order))

    seconds = measure.race({name: lambda name=name: turn(name) for name in "abc"}, rounds=3)
    assert order == [*"abc", *"bca", *"cab"]
    assert seconds == {"a": [1.0, 6.0, 8.0], "b": [2.0, 4.0, 9.0], "c": [3.0, 5.0, 7.0]}


def test_states_are_compared_where_the_indices_agree_and_the_others_counted() -> None:
    accuracy = importlib.import_module("accuracy")
    reference = {"codebook_indices": np.array([[1, 2]]), "quantized_states": np.array([[[0.5], [0.25]]], np.float32)}
    found = {"codebook_indices": np.array([[1, 3]]), "quantized_states": np.array([[[0.75], [9.0]]], np.float32)}
    assert accuracy.compare(found, reference) == accuracy.Accuracy(max_error=0.25, differing_indices=1)


def test_a_missing_output_is_no_agreement() -> None:
    accuracy = importlib.import_module("accuracy")
    with pytest.raises(ValueError, match="expected outputs"):
        accuracy.compare({}, {"pixel_values": np.zeros((1, 2, 2, 3), np.float32)})


def test_a_call_of_a_function_is_one_node_written_and_its_body_opened(tmp_path: Path) -> None:
    nodes = importlib.import_module("nodes")
    text = """<ir_version: 10, opset_import: ["" : 21, "own" : 1]>
        main (float[2] x) => (float[2] z) { y = own.twice_shifted (x) z = Relu (y) }
        <domain: "own", opset_import: ["" : 21]> twice_shifted (a) => (c) { b = Add (a, a) c = Add (b, a) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    assert nodes.count(tmp_path / "model.onnx") == nodes.Nodes(written=2, opened=3)


def test_a_small_run_writes_what_it_measured(tmp_path: Path) -> None:
    small = ["--config", "debug", "--half", "encoder", "--only", "lwmport", "--rounds", "1", "--conversions", "1"]
    files = {"--json": tmp_path / "found.json", "--markdown": tmp_path / "found.md"}
    make(Recipe(component="vqgan", config="debug"), tmp_path / "weights")
    options = [
        *small,
        "--checkpoint",
        str(tmp_path / "weights"),
        *(str(part) for pair in files.items() for part in pair),
    ]
    subprocess.run([sys.executable, str(BENCHMARKS / "vqgan.py"), *options], check=True, timeout=120)
    found = json.loads(files["--json"].read_text(encoding="utf-8"))
    result = found["results"]["encoder"]["lwmport"]
    assert result["ratio"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert result["accuracy"]["differing_indices"] == 0
    assert result["accuracy"]["max_error"] < TOLERANCE
    assert 0 < found["costs"]["lwmport"]["peak_anonymous_bytes"] <= found["costs"]["lwmport"]["peak_bytes"]
    assert "| lwmport convert, ONNX Runtime |" in files["--markdown"].read_text(encoding="utf-8")
