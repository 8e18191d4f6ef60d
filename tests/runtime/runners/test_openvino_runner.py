"""OpenVINO behind the protocol: right numbers, own memory, one line for what it does not take, no calls home."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lwmport import extras, manifest
from lwmport.errors import RunnerError, UsageError
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.samples import samples

pytestmark = pytest.mark.skipif(not extras.installed("openvino"), reason="pip install 'lwmport[openvino]'")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("encoder")
    for dialect in ("onnx", "ort"):
        convert(
            ConvertRequest(
                component="vqgan-encoder",
                format="onnx",
                dialect=dialect,
                config="debug",
                batch="dynamic",
                out=out / dialect,
                validate=False,
            )
        )
    return out


def pixels(batch: int) -> dict[str, np.ndarray]:
    return {"pixel_values": np.random.default_rng(batch).uniform(-1, 1, (batch, 32, 32, 3)).astype(np.float32)}


def test_it_agrees_with_onnx_runtime_on_a_dynamic_batch(encoder: Path) -> None:
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    path = encoder / "onnx" / "vqgan-encoder.onnx"
    runner, reference = OpenVinoRunner(path, 1), OnnxRuntimeRunner(path, 1)
    first = runner.run(pixels(1))
    kept = first["quantized_states"].copy()
    expected = reference.run(pixels(2))
    found = runner.run(pixels(2))
    assert np.array_equal(found["codebook_indices"], expected["codebook_indices"])
    assert np.abs(found["quantized_states"] - expected["quantized_states"]).max() < 1e-5
    assert np.array_equal(first["quantized_states"], kept), "a later run wrote into an earlier result"


@pytest.mark.parametrize("component", ["llama-head", "vqgan-encoder"])
def test_a_model_in_float16_keeps_the_names_of_its_ends(component: str, tmp_path: Path) -> None:
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    options = Options(precision="float16")
    model = ConvertRequest(
        component=component,
        format="onnx",
        dialect="onnx",
        config="debug",
        out=tmp_path,
        options=options,
        validate=False,
    )
    convert(model)
    (part,) = manifest.read(tmp_path).components
    given = samples(part.signature.inputs, {})
    expected = OnnxRuntimeRunner(tmp_path / part.path, 1).run(given)
    runner = OpenVinoRunner(tmp_path / part.path, 1)
    assert [spec.name for spec in runner.inputs] == [spec.name for spec in part.signature.inputs]
    assert list(runner.run(given)) == list(expected)


def test_wrong_inputs_are_refused(encoder: Path) -> None:
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    runner = OpenVinoRunner(encoder / "onnx" / "vqgan-encoder.onnx", 1)
    with pytest.raises(RunnerError, match="expected pixel_values as float32"):
        runner.run({"pixel_values": np.zeros((1, 32, 32, 3), np.float64)})


def test_what_it_cannot_read_is_one_line(encoder: Path, tmp_path: Path) -> None:
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    with pytest.raises(RunnerError, match="--dialect openvino"):
        OpenVinoRunner(encoder / "ort" / "vqgan-encoder.onnx", 1)
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    with pytest.raises(RunnerError, match="OpenVINO refused"):
        OpenVinoRunner(tmp_path / "no.onnx", 1)
    with pytest.raises(UsageError, match="float32, bfloat16"):
        OpenVinoRunner(tmp_path / "no.onnx", 1, "int4")


def test_importing_it_sends_nothing() -> None:
    code = (
        "import os, sys\n"
        "from lwmport.runtime.runners.openvino import load\n"
        "load()\n"
        "sys.exit('openvino_telemetry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def layers(compiled: Any) -> Counter[str]:
    """Return the operators that OpenVINO runs, and how many of each."""
    kinds = (operator.get_rt_info()["layerType"] for operator in compiled.get_runtime_model().get_ops())
    return Counter(kind.astype(str) for kind in kinds)


def test_a_session_attends_in_one_operator_with_the_cache_in_place(tmp_path: Path) -> None:
    from lwmport.runtime.runners.openvino import open_model

    convert(
        ConvertRequest(
            component="llama", format="onnx", dialect="openvino", config="debug", out=tmp_path, validate=False
        )
    )
    (part,) = manifest.read(tmp_path).components
    runner = open_model(tmp_path / part.path, RunnerContext(session=True))
    runner.keep_states(part.signature.states)
    found = layers(runner._compiled)
    assert found["ScaledDotProductAttention"] == found["MemoryInput"] / 2 == len(part.signature.states) / 2
    assert not {"Softmax", "Loop", "TensorIterator"} & set(found)


def test_quantised_convolutions_run_on_integers(tmp_path: Path) -> None:
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    convert(
        ConvertRequest(
            component="vqgan-encoder",
            format="onnx",
            dialect="openvino",
            config="debug",
            out=tmp_path,
            validate=False,
            options=Options(quantize="w8a8"),
        )
    )
    path = tmp_path / "vqgan-encoder.onnx"
    graph = onnx.load(path, load_external_data=False).graph
    restored = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    quantised = [node for node in graph.node if node.op_type == "Conv" and node.input[0] in restored]
    compiled = OpenVinoRunner(path, 1)._compiled
    told = [operator.get_rt_info() for operator in compiled.get_runtime_model().get_ops()]
    dtypes = [info["runtimePrecision"].astype(str) for info in told if info["layerType"].astype(str) == "Convolution"]
    assert dtypes.count("u8") == len(quantised) > 0
