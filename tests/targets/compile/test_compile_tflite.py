"""TFLite files of TensorFlow's converter: callers know the names of the signature, parsers those of the tensors."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport import extras
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.runtime.runners.litert import LiteRTRunner
from lwmport.targets.graphs.opening import open_graph
from lwmport.types import Status

X, B = "serving_default_x:0", "serving_default_b:0"
OPENVINO = pytest.mark.skipif(not extras.installed("openvino"), reason="pip install 'lwmport[openvino]'")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with two inputs and two outputs, converted as TensorFlow's users do."""
    tf = pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("converted")
    module = tf.Module()
    shapes = [tf.TensorSpec((None, 8), tf.float32, "x"), tf.TensorSpec((None, 4), tf.float32, "b")]

    @tf.function(input_signature=shapes)  # type: ignore[untyped-decorator]
    def serve(x: Any, b: Any) -> dict[str, Any]:
        y = tf.matmul(x, tf.constant(np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4))) + b
        return {"second": tf.nn.softmax(y), "first": y * 2}

    module.serve = serve
    tf.saved_model.save(module, str(folder / "saved"), signatures=serve)
    (folder / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert())
    return folder / "model.tflite"


def _two(signatures: list[Any]) -> list[Any]:
    from copy import deepcopy

    other, (usual,) = deepcopy(signatures[0]), signatures
    other.signatureKey = b"other"
    for entry in (*other.inputs, *other.outputs):
        entry.name = b"other_" + entry.name
    return [other, usual]


def _elsewhere(signatures: list[Any]) -> list[Any]:
    """Return the same, of a subgraph that does not run unless it is named."""
    signatures[0].subgraphIndex = 1
    return signatures


CHANGES: dict[str, tuple[Callable[[list[Any]], list[Any] | None], set[str]]] = {
    "one signature": (lambda signatures: signatures, {"x", "b"}),
    "two signatures": (_two, {"x", "b"}),
    "two signatures of other names": (lambda signatures: _two(signatures)[:1], {"other_x", "other_b"}),
    "no signature": (lambda _: None, {X, B}),
    "a signature of another subgraph": (_elsewhere, {X, B}),
}


@pytest.fixture
def changed(converted: Path, tmp_path: Path) -> Callable[[str], Path]:
    def write(name: str) -> Path:
        from lwmport.converters.tflite.schema import flatbuffers, schema

        model = schema.ModelT.InitFromPackedBuf(converted.read_bytes())
        model.signatureDefs = CHANGES[name][0](model.signatureDefs)
        if name == "a signature of another subgraph":
            model.subgraphs.append(model.subgraphs[0])
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), b"TFL3")
        (tmp_path / "model.tflite").write_bytes(builder.Output())
        return tmp_path / "model.tflite"

    return write


@pytest.mark.parametrize("engine", ["litert", pytest.param("openvino", marks=OPENVINO)])
@pytest.mark.parametrize("name", CHANGES)
def test_a_file_of_tensorflows_converter_runs_on_the_cpu(
    name: str, engine: str, changed: Callable[[str], Path], tmp_path: Path
) -> None:
    path = changed(name)
    assert {spec.name for spec in LiteRTRunner(path, threads=1).inputs} == CHANGES[name][1]
    (found,) = compile_artifacts(CompileRequest(artifact=path, target="cpu", soc=engine, out=tmp_path / "out"))
    assert found.status is Status.PASSED, found.reason
    assert "agrees with model.tflite on samples" in found.reason
    names = {name for name, value in found.details.items() if value == "equal" or value.endswith(" dB")}
    assert len(names) == 2


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convolutions in int8 between an input and an output in float32."""
    tf = pytest.importorskip("tensorflow")
    path = tmp_path_factory.mktemp("quantised") / "model.tflite"
    draw = np.random.default_rng(0)
    kernels = [draw.normal(size=(3, 3, 3 if not place else 8, 8)).astype(np.float32) for place in range(4)]

    @tf.function(input_signature=[tf.TensorSpec((1, 16, 16, 3), tf.float32, "x")])  # type: ignore[untyped-decorator]
    def serve(x: Any) -> Any:
        for kernel in kernels:
            x = tf.nn.avg_pool2d(tf.nn.sigmoid(tf.nn.conv2d(x, kernel, 1, "SAME")), 2, 1, "SAME")
        return x

    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    samples = [[draw.normal(size=(1, 16, 16, 3)).astype(np.float32)] for _ in range(4)]
    converter.representative_dataset = lambda: iter(samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of statistics that it takes from the samples
        path.write_bytes(converter.convert())
    return path


@pytest.mark.parametrize("engine", ["litert", pytest.param("openvino", marks=OPENVINO)])
def test_a_quantised_file_runs_on_the_cpu(engine: str, quantised: Path, tmp_path: Path) -> None:
    (found,) = compile_artifacts(CompileRequest(artifact=quantised, target="cpu", soc=engine, out=tmp_path / "out"))
    assert found.status is Status.PASSED, found.reason
    assert "agrees with model.tflite on samples" in found.reason


@OPENVINO
def test_the_ir_has_the_names_of_the_signature(converted: Path, tmp_path: Path) -> None:
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    compile_artifacts(CompileRequest(artifact=converted, target="cpu", soc="openvino", out=tmp_path / "out"))
    runner = OpenVinoRunner(tmp_path / "out" / "model.xml", 1)
    given = {"x": np.ones((2, 8), np.float32), "b": np.zeros((2, 4), np.float32)}
    found, expected = runner.run(given), LiteRTRunner(converted, threads=1).run(given)
    assert set(found) == set(expected) == {"first", "second"}
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5)


def test_a_parser_is_given_the_names_of_the_tensors(converted: Path, tmp_path: Path) -> None:
    graph = open_graph(converted)
    assert {value.name for value in graph.inputs} == {X, B}
    assert {graph.public[value.name] for value in (*graph.inputs, *graph.outputs)} == {"x", "b", "first", "second"}
    for value in graph.inputs:
        np.save(tmp_path / f"{value.name}.npy", np.zeros((3, 1, *map(int, (value.shape or ())[1:])), np.float32))
    dims = [str((value.shape or ())[0]) for value in graph.inputs]
    request = CompileRequest(
        artifact=converted,
        target="aipu",
        calibration=str(tmp_path),
        gears=(dict.fromkeys(dims, 1),),
        out=tmp_path / "out",
        run=False,
    )
    compile_artifacts(request)
    text = (tmp_path / "out" / "model.cfg").read_text()
    assert f"input = {','.join(value.name for value in graph.inputs)}\n" in text
