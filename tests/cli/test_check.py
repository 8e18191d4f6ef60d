"""``lwmport check``: exit codes, one line for what cannot be, JSON, and a mended copy."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from command_line import lwmport
from onnx import helper

from lwmport import manifest
from lwmport.errors import ArtifactError, UsageError


def model(opset: int, batch: int | str = 1) -> onnx.ModelProto:
    scale = onnx.numpy_helper.from_array(np.ones(4, np.float32), "scale")
    graph = helper.make_graph(
        [helper.make_node("GroupNormalization", ["x", "scale", "scale"], ["y"], "norm", num_groups=2)],
        "small",
        [helper.make_tensor_value_info("x", 1, [batch, 4, 8, 8])],
        [helper.make_tensor_value_info("y", 1, [batch, 4, 8, 8])],
        [scale],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(model(21, "n"), tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def test_errors_are_listed_in_plain_lines(path: Path) -> None:
    done = lwmport("check", path, "--target", "ascend")
    assert done.returncode == 1
    for words in ("A01 error: opset: opset 21", "A03 error", "at GroupNormalization norm", "A10 error", "(--fix)"):
        assert words in done.stdout
    assert done.stdout.splitlines()[-2].startswith("FAILED  small.onnx for ascend (Ascend310P3): 3 errors")
    assert "\x1b" not in done.stdout


def test_json_holds_every_finding(path: Path) -> None:
    done = lwmport("check", path, "--target", "ascend", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["fixed"]) == (1, "failed", None)
    (preflight,) = found["preflights"]
    first = preflight["findings"][0]
    assert set(first) == {"rule", "severity", "title", "where", "operator", "found", "vendor", "fix", "fixable"}
    assert {item["rule"] for item in preflight["findings"]} >= {"A01", "A03", "A10"}


def test_a_fix_is_written_and_passes(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "fixed.onnx"
    words = ("--target", "ascend", "--input-shape", "x:2,4,8,8")
    done = lwmport("check", path, *words, "--fix", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "before and after agree on 3 random inputs" in done.stdout
    assert lwmport("check", out, "--target", "ascend").returncode == 0
    assert sorted(file.name for file in out.parent.iterdir()) == ["fixed.onnx"]


def test_the_condition_of_a_softened_mask_is_told(tmp_path: Path) -> None:
    """In the line of the verdict, and in the document."""
    mask = onnx.numpy_helper.from_array(np.triu(np.full((4, 4), -np.inf, np.float32), 1), "mask")
    nodes = [helper.make_node("Add", ["x", "mask"], ["t"], "add"), helper.make_node("Softmax", ["t"], ["y"], "softmax")]
    ends = [helper.make_tensor_value_info(name, 1, [4, 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "masked", ends[:1], ends[1:], [mask])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "masked.onnx")
    words = ("check", tmp_path / "masked.onnx", "--target", "aipu", "--fix", "--out", tmp_path / "fixed.onnx")
    (line,) = (line for line in lwmport(*words).stdout.splitlines() if "before and after agree" in line)
    assert "; only while the scores of a row lie within 30 of each other" in line
    fixed = json.loads(lwmport(*words, "--json").stdout)["fixed"]
    assert set(fixed) == {"notes", "proof", "condition"}
    assert fixed["condition"].startswith("only while the scores")
    assert fixed["proof"].endswith(fixed["condition"])


def test_a_folder_is_checked_whole(path: Path) -> None:
    onnx.save(model(21), path.with_name("other.onnx"))
    done = lwmport("check", path.parent, "--target", "cpu")
    assert done.returncode == 0
    assert "PASSED  other.onnx for cpu" in done.stdout
    assert "PASSED  small.onnx for cpu" in done.stdout


REFUSED = {
    "target": (("--target", "ascent"), UsageError.exit_code, "did you mean 'ascend'"),
    "chip": (("--target", "ascend", "--soc", "Ascend9"), UsageError.exit_code, "expected a chip of ascend"),
    "shape": (("--target", "ascend", "--input-shape", "x=1,2"), UsageError.exit_code, "expected --input-shape as"),
    "size": (("--target", "ascend", "--input-shape", "x:0,4,8,8"), UsageError.exit_code, "expected --input-shape as"),
    "no --out": (("--target", "ascend", "--fix"), UsageError.exit_code, "expected --fix and --out"),
    "sizes for a proof": (
        ("--target", "ascend", "--fix", "--out", "OUT"),
        UsageError.exit_code,
        "expected the size of every input",
    ),
    "itself": (
        ("--target", "ascend", "--fix", "--out", "SELF", "--input-shape", "x:1,4,8,8"),
        UsageError.exit_code,
        "expected another file",
    ),
    "no ONNX": (("--target", "aipu", "--fix", "--out", "x.tflite"), UsageError.exit_code, "expected ONNX files for"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_costs_one_line(name: str, path: Path) -> None:
    words, code, message = REFUSED[name]
    names = {"OUT": str(path.with_name("out.onnx")), "SELF": str(path)}
    done = lwmport("check", path, *(names.get(word, word) for word in words))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert message in done.stderr
    assert sorted(file.name for file in path.parent.iterdir()) == ["small.onnx"]


def test_a_missing_file_costs_one_line(tmp_path: Path) -> None:
    done = lwmport("check", tmp_path / "none.onnx", "--target", "cpu")
    assert done.returncode == ArtifactError.exit_code
    assert "expected a model file" in done.stderr.splitlines()[-1]


def saved_model(folder: Path) -> Path:
    """Return a folder with the files of a SavedModel, in which nothing is read."""
    folder.mkdir(parents=True)
    for name in ("fingerprint.pb", "saved_model.pb"):
        (folder / name).write_bytes(b"\x08\x01")
    return folder


SAVED_MODELS = {
    "of TensorFlow's": ("tf/model", "tf/model", False),
    "of ours": ("tf/vqgan-decoder.saved_model", "tf/vqgan-decoder.saved_model", False),
    "its graph": ("tf/model", "tf/model/saved_model.pb", False),
    "a folder of it": ("tf/model", "tf", False),
    "a folder of ours": ("tf/vqgan-decoder.saved_model", "tf", True),
}
"""Name -> the SavedModel, what is checked, and whether a manifest lists it."""


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_a_saved_model_costs_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lwmport.pipeline import check

    made, asked, listed = SAVED_MODELS[name]
    folder = saved_model(tmp_path / made)
    if listed:
        (tmp_path / "tf" / manifest.NAME).write_text("{}", encoding="utf-8")
        part = SimpleNamespace(path=folder.name)
        monkeypatch.setattr(manifest, "read", lambda _: SimpleNamespace(components=(part,)))
    with pytest.raises(UsageError, match=r"found the SavedModel .* is not read; freeze it, .* --to frozen_graph"):
        check.check_artifacts(check.CheckRequest(artifact=tmp_path / asked, target="cpu"))
