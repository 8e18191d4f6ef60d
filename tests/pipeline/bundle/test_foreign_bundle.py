"""A bundle of a model that is not ours: golden outputs by ONNX Runtime, and everything else as in any bundle."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, UsageError
from lwmport.handoff import record
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.bundle.verify import VerifyRequest, verify
from lwmport.types import Status


def model(folder: Path, bias: float = 0.5, operator: str = "Sigmoid", *, outside: bool = False) -> Path:
    """Return a file with one layer: a 1 x 1 convolution of a picture and what is made of it."""
    random = np.random.default_rng(0)
    weights = {"w": random.standard_normal((2, 3, 1, 1)).astype(np.float32), "b": np.full(2, bias, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["h"], name="conv"),
            helper.make_node(operator, ["h"], ["y"], name="last"),
        ],
        "stranger",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 16, 16])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "stranger.onnx"
    onnx.save(made, path, save_as_external_data=outside, location="stranger.weights", size_threshold=0)
    return path


def samples(folder: Path, count: int = 3, **arrays: Any) -> Path:
    path = folder / "samples.npz"
    random = np.random.default_rng(1)
    np.savez(path, **(arrays or {"x": random.uniform(-1, 1, (count, 3, 16, 16)).astype(np.float32)}))
    return path


def asked(folder: Path, path: Path, **options: Any) -> BundleRequest:
    return BundleRequest(**{"folder": path, "target": "cpu", "out": folder / "b.zip", **options})


@pytest.mark.parametrize("outside", [False, True])
def test_it_is_a_bundle_like_any_other(tmp_path: Path, *, outside: bool) -> None:
    path, out = model(tmp_path, outside=outside), tmp_path / "b.zip"
    words = ["bundle", str(path), "--target", "ascend", "--soc", "Ascend310P3", "--out", str(out)]
    done = CliRunner().invoke(cli, [*words, "--samples", str(samples(tmp_path, 5)), "--json"])
    assert done.exit_code == 0, done.output
    found = verify(VerifyRequest(path=out))
    assert found.status is Status.PASSED
    (judged,) = found.validations
    assert judged.reference == "golden outputs, by the bundle's own tolerances"
    assert [diff.name for diff in judged.diffs] == ["000/y", "001/y", "002/y"]
    shutil.unpack_archive(out, tmp_path / "u")
    checker = [sys.executable, str(tmp_path / "u/verify.py"), "--runner", "onnxruntime", "--json"]
    ran = subprocess.run(checker, capture_output=True, text=True, check=False)
    assert (ran.returncode, json.loads(ran.stdout)["status"]) == (0, "passed")
    spec = json.loads((tmp_path / "u/spec.json").read_text())
    assert spec["reference"].startswith("ONNX Runtime ")
    assert spec["reference"].endswith("on the model file itself, on a CPU; not JAX")
    assert [sample["title"] for sample in spec["components"][0]["samples"]] == [
        f"samples.npz, sample {number}" for number in range(3)
    ]
    assert spec["components"][0]["calibration"]["count"] == 2
    readme = (tmp_path / "u/README.txt").read_text()
    assert "ONNX Runtime" in readme
    assert "report/" not in readme
    assert "The model is not lwmport's" in (tmp_path / "u/NOTICE.txt").read_text()
    assert (tmp_path / "u/check/stranger/preflight.txt").is_file()
    assert (tmp_path / "u/compile/stranger/stranger.sh").is_file()
    assert (tmp_path / "u/models/stranger.weights").exists() == outside


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path, inputs = model(tmp_path), samples(tmp_path)
    for name in ("a.zip", "b.zip"):
        bundle(asked(tmp_path, path, out=tmp_path / name, inputs=inputs))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_without_samples_it_draws_pictures(tmp_path: Path) -> None:
    bundle(asked(tmp_path, model(tmp_path)))
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        (part,) = json.loads(archive.read(record.SPEC_NAME))["components"]
    assert [sample["title"] for sample in part["samples"]] == ["drawn pictures and seeded numbers"]
    assert part["calibration"] == {"count": 0, "stacked": {}}


def test_tolerances_are_a_share_of_the_values_and_know_the_range(tmp_path: Path) -> None:
    for bias, peak in ((0.5, None), (-30.0, 1e-2)):
        bundle(asked(tmp_path, model(tmp_path, bias), inputs=samples(tmp_path)))
        with zipfile.ZipFile(tmp_path / "b.zip") as archive:
            (part,) = json.loads(archive.read(record.SPEC_NAME))["components"]
        expected = part["observed"]["outputs/y"][1] if peak is None else peak
        assert part["tolerances"]["y"]["float32"]["atol"] == pytest.approx(1e-4 * expected)
        assert part["tolerances"]["y"]["float16"]["atol"] == pytest.approx(2e-2 * expected)


def test_a_model_that_gives_no_numbers_is_no_reference(tmp_path: Path) -> None:
    path = model(tmp_path, -100.0, "Log")
    with pytest.raises(
        ArtifactError, match=r"expected finite golden outputs of .*stranger.onnx, found NaN or infinite"
    ):
        bundle(asked(tmp_path, path, inputs=samples(tmp_path)))
    assert not (tmp_path / "b.zip").exists()


def test_what_does_not_fit_is_refused_before_work_starts(tmp_path: Path) -> None:
    path = model(tmp_path)
    with pytest.raises(UsageError, match="expected the inputs x, found y"):
        bundle(asked(tmp_path, path, inputs=samples(tmp_path, y=np.zeros(3, np.float32))))
    with pytest.raises(UsageError, match=r"expected (nothing at|a new place as --out)"):
        bundle(asked(tmp_path, path, out=path))
    with pytest.raises(UsageError, match=r"expected (nothing at|a new place as --out)"):
        bundle(asked(tmp_path, path, out=samples(tmp_path), inputs=tmp_path / "samples.npz"))
    other = tmp_path / "model.pb"
    other.write_bytes(b"1")
    with pytest.raises(UsageError, match="or an ONNX file, found"):
        bundle(asked(tmp_path, other))
    outside = model(tmp_path, outside=True)
    (tmp_path / "stranger.weights").unlink()
    with pytest.raises(ArtifactError, match=r"expected the weights of .* found none"):
        bundle(asked(tmp_path, outside))
    assert not (tmp_path / "b.zip").exists()
