"""From a folder of artifacts, or a model that is not ours, to one verdict and one record each."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lwmport import plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.pipeline.compile.calibration import given_samples
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts, status_of
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.targets.registry import TARGETS
from lwmport.types import Compilation, Signature, Status, TensorSpec

OPTIONS = {
    "aipu": {"calibration": "auto"},
    "ascend": {"soc": "Ascend310P3"},
    "cpu": {},
    "migraphx": {"soc": "gfx936"},
}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("artifacts")
    convert(ConvertRequest(component="vqgan", format="onnx", dialect="onnx", config="debug", out=out, validate=False))
    return out


@pytest.fixture(autouse=True)
def no_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_every_compiler_has_a_usual_precision_and_a_test() -> None:
    assert set(TARGETS.table) == set(OPTIONS)


@pytest.mark.parametrize("target", OPTIONS)
def test_every_target_takes_our_artifacts(target: str, artifacts: Path, tmp_path: Path) -> None:
    request = CompileRequest(artifact=artifacts, target=target, out=tmp_path / "out", **OPTIONS[target])
    found = compile_artifacts(request)
    assert [compilation.component for compilation in found] == ["vqgan-encoder", "vqgan-decoder"]
    wanted = Status.PASSED if target == "cpu" else Status.SKIPPED
    assert {compilation.status for compilation in found} == {wanted}
    for compilation in found:
        path = tmp_path / "out" / f"{compilation.component}.compilation.json"
        read = plain.decode(Compilation, json.loads(path.read_text()), str(path))
        assert read == compilation
        assert all((tmp_path / "out" / name).is_file() for name in compilation.files)
        assert compilation.commands


def test_one_artifact_can_be_named_and_goes_beside_itself(artifacts: Path) -> None:
    request = CompileRequest(artifact=artifacts / "vqgan-decoder.onnx", target="ascend", soc="Ascend310P3")
    (found,) = compile_artifacts(request)
    assert request.folder == artifacts / "ascend"
    assert found.component == "vqgan-decoder"


def test_a_model_that_is_not_ours(artifacts: Path, tmp_path: Path) -> None:
    for name in ("vqgan-decoder.onnx", "vqgan-decoder.onnx.data"):
        (tmp_path / name).write_bytes((artifacts / name).read_bytes())
    request = CompileRequest(artifact=tmp_path / "vqgan-decoder.onnx", target="ascend", soc="Ascend310P3")
    (found,) = compile_artifacts(request)
    assert "--input_shape=codebook_indices:1,16,16" in found.commands[0]


@pytest.mark.parametrize("calibration", [None, "auto"])
def test_a_model_that_is_not_ours_is_told_what_samples_to_give(
    calibration: str | None, artifacts: Path, tmp_path: Path
) -> None:
    """What the message says is then done, and is enough."""
    for name in ("vqgan-encoder.onnx", "vqgan-encoder.onnx.data"):
        (tmp_path / name).write_bytes((artifacts / name).read_bytes())
    request = CompileRequest(artifact=tmp_path / "vqgan-encoder.onnx", target="aipu", out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"--calibration DIR with pixel_values\.npy") as caught:
        compile_artifacts(replace(request, calibration=calibration))
    assert "calibration auto" not in str(caught.value)
    np.save(tmp_path / "pixel_values.npy", np.zeros((2, 1, 32, 32, 3), np.float32))
    (found,) = compile_artifacts(replace(request, calibration=str(tmp_path)))
    assert "vqgan-encoder.cfg" in found.files


def test_a_model_of_ours_is_told_of_samples_made_anew(artifacts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --calibration auto, or DIR with pixel_values"):
        compile_artifacts(CompileRequest(artifact=artifacts, target="aipu", out=tmp_path / "out"))


def test_samples_from_a_folder(artifacts: Path, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=(2, 1, 32, 32, 3)).astype(np.float32)
    np.save(tmp_path / "pixel_values.npy", samples)
    request = CompileRequest(
        artifact=artifacts / "vqgan-encoder.onnx", target="aipu", calibration=str(tmp_path), out=tmp_path / "out"
    )
    compile_artifacts(request)
    assert np.array_equal(np.load(tmp_path / "out" / "vqgan-encoder.calibration.npy"), samples[:, 0])


def test_samples_made_anew_are_real_inputs(artifacts: Path, tmp_path: Path) -> None:
    compile_artifacts(CompileRequest(artifact=artifacts, target="aipu", calibration="auto", out=tmp_path / "out"))
    pixels = np.load(tmp_path / "out" / "vqgan-encoder.calibration.npy")
    codes = np.load(tmp_path / "out" / "vqgan-decoder.calibration.npy")
    assert (pixels.shape, codes.shape) == ((8, 32, 32, 3), (8, 16, 16))
    assert pixels.std() > 0.1
    assert (codes.dtype, len(np.unique(codes)) > 4) == (np.int32, True)


def _header(file: Any, shape: str) -> None:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    file.write(b"\x93NUMPY\1\0" + len(text + "\n").to_bytes(2, "little") + text.encode() + b"\n")


NO_SAMPLES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda file: file.write(b""),
    "an archive": lambda file: np.savez(file, pixel_values=np.zeros((2, 1, 32, 32, 3), np.float32)),
    "a broken archive": lambda file: file.write(b"PK\3\4 and no more"),
    "half a header": lambda file: file.write(b"\x93NUMPY\1\0\xff"),
    "a negative size": lambda file: _header(file, "(-3,)"),
    "more than any memory": lambda file: _header(file, f"({10**30},)"),
    "text": lambda file: file.write(b"1 2 3"),
    "objects": lambda file: np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True),
}


@pytest.mark.parametrize("name", NO_SAMPLES)
def test_what_is_no_array_of_samples_costs_one_line(name: str, tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        NO_SAMPLES[name](file)
    signature = Signature(inputs=(TensorSpec(name="x", shape=(1,), dtype="float32"),), outputs=())
    with pytest.raises(ArtifactError, match="expected an array of samples at") as found:
        given_samples(tmp_path, signature)
    assert "\n" not in str(found.value)


X = np.ones((3, 2), np.float32)

WRONG_SAMPLES: dict[str, tuple[str, Any, str]] = {
    "NaN": ("float32", X * np.nan, "finite numbers of float32, found 6 of 6 that are none"),
    "one infinity": ("float32", np.where(np.arange(6) == 5, np.inf, 1).astype(np.float32), "found 1 of 6 that are"),
    "too large for the input": ("float32", X.astype(np.float64) * 1e300, "found 6 of 6 that are none"),
    "integers": ("float32", X.astype(np.int32), "in float32 at .*x.npy, found int32"),
    "numbers for indices": ("int32", X, "in int32 at .*x.npy, found float32"),
    "integers too large": ("int32", np.array([1, 1 << 40]), "as numbers of int32, found 1 of 2 that are none"),
    "negative for unsigned": ("uint8", np.array([1, -1]), "as numbers of uint8, found 1 of 2 that are none"),
    "complex": ("float32", X.astype(np.complex64), "found complex64"),
    "text": ("float32", np.array(["a"]), "found <U1"),
    "a scalar": ("float32", np.float32(np.nan), "found 1 of 1 that are none"),
}


@pytest.mark.parametrize("name", WRONG_SAMPLES)
def test_samples_that_are_none_of_the_input_cost_one_line(name: str, tmp_path: Path) -> None:
    dtype, array, message = WRONG_SAMPLES[name]
    np.save(tmp_path / "x.npy", array)
    signature = Signature(inputs=(TensorSpec(name="x", shape=(1,), dtype=dtype),), outputs=())
    with pytest.raises(ArtifactError, match=message) as found:
        given_samples(tmp_path, signature)
    assert str(tmp_path / "x.npy") in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("dtype", "array"),
    [("float32", np.asfortranarray(X, np.float64)), ("float32", X), ("int64", np.array([1, -2], np.int32))],
)
def test_samples_of_the_same_kind_are_taken(dtype: str, array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    signature = Signature(inputs=(TensorSpec(name="x", shape=(1,), dtype=dtype),), outputs=())
    assert np.array_equal(given_samples(tmp_path, signature)["x"], array)


def test_a_component_that_no_model_has_costs_one_line(artifacts: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(artifacts, copy)
    text = (copy / "manifest.json").read_text().replace('"name": "vqgan-decoder"', '"name": "vqgan-encore"')
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match="expected components out of vqgan-encoder, vqgan-decoder in"):
        compile_artifacts(CompileRequest(artifact=copy, target="aipu", calibration="auto", out=tmp_path / "out"))


def _longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


def _flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("change", [_longer, _flipped, Path.unlink])
def test_a_file_that_was_not_converted_is_refused(
    change: Callable[[Path], None], artifacts: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(artifacts, copy)
    change(copy / "vqgan-decoder.onnx.data")
    with pytest.raises(ArtifactError, match="convert again"):
        compile_artifacts(CompileRequest(artifact=copy, target="ascend", soc="Ascend310P3"))


@pytest.mark.parametrize("elem_type", [onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED])
@pytest.mark.parametrize("target", ["cpu", "migraphx"])
def test_an_input_that_is_no_number_is_refused(elem_type: int, target: str, tmp_path: Path) -> None:
    helper = onnx.helper
    given = onnx.ValueInfoProto(name="x")
    if elem_type:
        given = helper.make_tensor_value_info("x", elem_type, [1])
    made = helper.make_tensor_value_info("y", elem_type or onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [given], [made])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    request = CompileRequest(artifact=path, target=target, soc=OPTIONS[target].get("soc"), out=tmp_path / "out")
    with pytest.raises(ArtifactError, match="expected inputs of numbers, found 'x' of dtype"):
        compile_artifacts(request)


BAD = {
    "target": ({"target": "ascent"}, UsageError, "did you mean 'ascend'"),
    "samples for a target that does not quantise": ({"calibration": "auto"}, UsageError, "with the target aipu"),
    "a node that no model has": (
        {"precision": "float16", "keep_float32": ("node:post_quant_conv/Conv", "node:encoder/Conv_0/Cnv")},
        UsageError,
        "of vqgan-encoder.onnx or vqgan-decoder.onnx, found .*; did you mean 'node:encoder/Conv_0/Conv'",
    ),
    "no artifact": ({"artifact": Path("/nowhere/model.onnx")}, ArtifactError, "found nothing at"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused(name: str, artifacts: Path, tmp_path: Path) -> None:
    fields, kind, message = BAD[name]
    given = {"artifact": artifacts, "target": "ascend", "soc": "Ascend310P3", "out": tmp_path / "out", **fields}
    with pytest.raises(kind, match=message):
        compile_artifacts(CompileRequest(**given))
    assert not (tmp_path / "out").exists()


def test_a_node_of_one_model_stays_in_float32_there(artifacts: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"target": "ascend", "soc": "Ascend310P3", "out": tmp_path / "out"}
    kept = ("node:post_quant_conv/Conv",)
    compile_artifacts(CompileRequest(artifact=artifacts, precision="float16", keep_float32=kept, **given))
    (list_,) = (tmp_path / "out").glob("*.keep_dtype.cfg")
    assert (list_.name, list_.read_text()) == ("vqgan-decoder.keep_dtype.cfg", "post_quant_conv/Conv\n")


def test_weights_that_compass_reads_as_zeros_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers")
    convert(
        ConvertRequest(
            component="vqgan-decoder", format="tflite", config="debug", out=tmp_path / "lite", validate=False
        )
    )
    np.save(tmp_path / "codebook_indices.npy", np.zeros((1, 1, 16, 16), np.int32))
    request = CompileRequest(artifact=tmp_path / "lite", target="aipu", calibration=str(tmp_path))
    with pytest.raises(UsageError, match="reads as zeros"):
        compile_artifacts(request)


def test_the_worst_verdict_is_the_verdict(artifacts: Path, tmp_path: Path) -> None:
    (one, two) = compile_artifacts(CompileRequest(artifact=artifacts, target="cpu", out=tmp_path / "out"))
    assert status_of((one, replace(two, status=Status.SKIPPED))) is Status.SKIPPED
    assert status_of((replace(one, status=Status.FAILED), replace(two, status=Status.SKIPPED))) is Status.FAILED
    assert status_of((one, two)) is Status.PASSED
