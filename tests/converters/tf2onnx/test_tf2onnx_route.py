"""The second route to ONNX agrees with JAX, and has the signature of the direct one."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner

HALVES = ("vqgan-encoder", "vqgan-decoder")
pytestmark = pytest.mark.usefixtures("tools")


def inputs_of(name: str, batch: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    if name == "vqgan-decoder":
        return {"codebook_indices": random.integers(0, 64, (batch, 16, 16)).astype(np.int32)}
    return {"pixel_values": random.uniform(-1, 1, (batch, 32, 32, 3)).astype(np.float32)}


@pytest.mark.parametrize(("name", "batch"), [("vqgan-encoder", 1), ("vqgan-encoder", 3), ("vqgan-decoder", 1)])
def test_it_agrees_with_jax(name: str, batch: int, through: Any, parts: Any, jax_outputs: Any) -> None:
    component, _ = parts[name]
    inputs = inputs_of(name, batch)
    expected = jax_outputs(component, SeededWeights(component.weights, 0), inputs)
    found = OnnxRuntimeRunner(through[name].path, 1).run(inputs)
    for output, reference in expected.items():
        atol = 1e-4 if reference.dtype == np.float32 else 0
        np.testing.assert_allclose(found[output], reference, rtol=0, atol=atol, err_msg=output, strict=True)


@pytest.mark.parametrize("name", HALVES)
def test_the_signature_is_that_of_the_direct_route(name: str, through: Any, direct: Any) -> None:
    one, two = (onnx.load(made[name].path, load_external_data=False).graph for made in (through, direct))
    assert list(one.input) == list(two.input)
    assert list(one.output) == list(two.output)
    assert through[name].signature == direct[name].signature


@pytest.mark.parametrize("name", HALVES)
def test_the_model_is_whole_and_standard(name: str, through: Any) -> None:
    path = through[name].path
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    assert [(item.domain, item.version) for item in model.opset_import if item.domain == ""] == [("", 18)]
    assert {node.domain for node in model.graph.node} == {""}
    assert dict(through[name].operators)["Conv"] == {"vqgan-encoder": 13, "vqgan-decoder": 17}[name]
    assert sum(through[name].operators.values()) == len(model.graph.node)


@pytest.mark.parametrize("name", HALVES)
def test_weights_keep_their_names(name: str, through: Any, parts: Any) -> None:
    component, _ = parts[name]
    names = {tensor.name for tensor in onnx.load(through[name].path, load_external_data=False).graph.initializer}
    biases = {weight for weight in component.weights if weight.endswith("Conv_0/bias")}
    assert biases <= names


def test_only_its_files_are_left(through: Any) -> None:
    for name, artifact in through.items():
        assert [path.name for path in artifact.files] == [f"{name}.onnx", f"{name}.onnx.data"]
        assert {path.stat().st_mode for path in artifact.files} == {artifact.path.stat().st_mode}
    folder = through["vqgan-encoder"].path.parent
    assert len(list(folder.iterdir())) == 4


def test_bytes_are_the_same_every_time(
    through: Any, converting: Any, parts: Any, route: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lwmport.converters.tf2onnx_route.convert import convert

    monkeypatch.setenv("PYTHONHASHSEED", "7")
    again = converting(convert, *parts["vqgan-encoder"], route, tmp_path)
    for one, two in zip(through["vqgan-encoder"].files, again.files, strict=True):
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(two.read_bytes()).digest(), one.name
