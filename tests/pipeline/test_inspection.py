"""What ``inspect`` says of each kind of file and folder, ours or not, and that it loads no weight of them."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import PortError
from lwmport.pipeline.inspection import inspect

if TYPE_CHECKING:
    from lwmport.pipeline.inspected.record import Inspection


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "models"
    lwmport.convert(component="vqgan-encoder", format="onnx", out=folder, config="debug")
    return folder


@pytest.fixture(scope="module")
def bundled(converted: Path) -> Path:
    lwmport.bundle(folder=converted, target="cpu", out=converted.parent / "b.zip", samples=1, calibration=0)
    return converted.parent / "b.zip"


def foreign(folder: Path, *, external: bool = False) -> Path:
    weights = numpy_helper.from_array(np.zeros((256, 4), np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Gelu", ["y"], ["z"], domain="com.microsoft"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 256])
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "g", [x], [z], [weights])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=sets, producer_name="pytorch", producer_version="2.1", ir_version=8)
    onnx.save(model, folder / "m.onnx", save_as_external_data=external, location="m.data", size_threshold=0)
    return folder / "m.onnx"


def coded(number: int, payload: bytes | str | int) -> bytes:
    """Return one field of a protocol buffer."""
    if isinstance(payload, int):
        return bytes([number << 3, payload])
    content = payload.encode() if isinstance(payload, str) else payload
    return bytes([number << 3 | 2, len(content)]) + content


def saved_model(folder: Path) -> Path:
    tensor = coded(1, "x:0") + coded(2, 1) + coded(3, coded(2, coded(1, 3)) + coded(2, coded(1, 4)))
    entry = coded(1, "pixels") + coded(2, tensor)
    signature = coded(1, entry) + coded(2, coded(1, "codes") + coded(2, coded(2, 3) + coded(3, coded(3, 1))))
    graph = coded(1, coded(1, "a") + coded(2, "Relu")) + coded(2, coded(1, coded(3, coded(2, "Relu"))))
    whole = (
        coded(1, coded(4, "serve") + coded(5, "2.16.1"))
        + coded(2, graph)
        + coded(5, coded(1, "predict") + coded(2, signature))
    )
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(coded(1, 1) + coded(2, whole))
    return folder


def gguf(path: Path) -> Path:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.block_count") + struct.pack("<II", 4, 32),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQff", 9, 6, 2, 0.5, 1.5),
    ]
    tensors = [text(f"t{i}") + struct.pack("<IQQIQ", 2, 4, 4, kind, 0) for i, kind in enumerate((12, 12, 0))]
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys + tensors))
    return path


def test_a_foreign_model_says_what_it_is_made_of(tmp_path: Path) -> None:
    found = inspect(str(foreign(tmp_path)))
    assert found.kind == "an ONNX model"
    assert found.facts["opset"] == "ai.onnx 17, com.microsoft 1"
    assert found.facts["producer"] == "pytorch 2.1"
    assert found.facts["constants"] == "1, 4,096 bytes inside"
    (part,) = found.parts
    assert [(one.name, one.dtype, one.shape) for one in part.inputs] == [("x", "float32", ("batch", 256))]
    assert [(one.name, one.shape) for one in part.outputs] == [("z", ("batch", 4))]
    assert part.operators == {"MatMul": 1, "com.microsoft.Gelu": 1}
    assert "lwmport check" in found.next[0]


def test_weights_in_another_file_are_counted_and_a_missing_one_is_said(tmp_path: Path) -> None:
    path = foreign(tmp_path, external=True)
    found = inspect(str(path))
    assert found.facts["constants"] == "1, 4,096 bytes in m.data"
    assert found.bytes == path.stat().st_size + 4096
    (tmp_path / "m.data").unlink()
    assert inspect(str(path)).facts["constants"] == "1, 4,096 bytes in m.data, which is missing"


def test_a_large_file_of_weights_is_not_read(tmp_path: Path) -> None:
    path = foreign(tmp_path, external=True)
    with (tmp_path / "m.data").open("r+b") as file:
        file.truncate(1 << 40)  # a hole: reading it would take hours
    assert inspect(str(path)).bytes > 1 << 40


def test_a_saved_model_says_its_signatures(tmp_path: Path) -> None:
    found = inspect(str(saved_model(tmp_path / "sm")))
    assert found.kind == "a SavedModel of TensorFlow"
    assert found.facts == {"tags": "serve", "producer": "TensorFlow 2.16.1"}
    (part,) = found.parts
    assert part.name == "predict"
    assert [(one.name, one.dtype, one.shape) for one in part.inputs] == [("pixels", "float32", (3, 4))]
    assert [(one.name, one.dtype, one.shape) for one in part.outputs] == [("codes", "int32", None)]
    assert part.operators == {"Relu": 2}


def test_a_gguf_file_says_its_header(tmp_path: Path) -> None:
    found = inspect(str(gguf(tmp_path / "m.gguf")))
    assert found.kind.startswith("a GGUF file")
    assert found.facts["architecture"] == "llama"
    assert found.facts["block_count"] == "32"
    assert found.facts["tensors"] == "2 Q4_K, 1 F32"


def test_what_convert_wrote_says_its_dialect_and_its_verdict(converted: Path) -> None:
    whole, one = inspect(str(converted)), inspect(str(converted / "vqgan-encoder.onnx"))
    assert whole.kind == "models that 'lwmport convert' wrote"
    assert one.kind == "an ONNX model that 'lwmport convert' wrote"
    for found in (whole, one):
        assert (found.facts["dialect"], found.facts["verdict"]) == ("ort", "passed")
        assert "not trained" in found.facts["weights"]
        assert found.parts[0].inputs[0].name == "pixel_values"
        assert f"lwmport bundle {converted} " in found.next[1]


def test_a_bundle_says_for_whom_it_is(bundled: Path, tmp_path: Path) -> None:
    found = inspect(str(bundled))
    assert found.kind == "a bundle for cpu"
    assert found.facts["samples"] == "1 of vqgan-encoder"
    assert found.next == (f"check its digests and run its models: lwmport verify {bundled}",)
    with zipfile.ZipFile(bundled) as archive:
        archive.extractall(tmp_path / "unpacked")
    there = inspect(str(tmp_path / "unpacked"))
    assert there.kind == "an unpacked bundle"
    assert there.parts == found.parts
    assert "verify.py" in there.next[0]


def test_an_adapter_and_a_compiled_file(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 4, "base_model_name_or_path": "b/m"}'
    )
    save_file(
        {"lm_head.lora_A.weight": np.ones((4, 2), np.float32)}, tmp_path / "adapter" / "adapter_model.safetensors"
    )
    found = inspect(str(tmp_path / "adapter"))
    assert (found.kind, found.facts["base"], found.facts["rank"]) == ("a LoRA adapter", "b/m", "4")
    assert "checkpoint convert BASE --adapter" in found.next[0]
    (tmp_path / "m.om").write_bytes(b"IMOD")
    assert "lwmport validate" in inspect(str(tmp_path / "m.om")).next[0]


def test_a_checkpoint_says_what_it_looks_like(tmp_path: Path) -> None:
    save_file({"quantize/embeddings": np.ones((4, 2), np.float32)}, tmp_path / "x")
    found = inspect(str(tmp_path / "x"))
    assert found.facts["looks like"] == "vqgan"
    assert "lwmport convert --component vqgan --to onnx --checkpoint" in found.next[0]


WRONG: dict[str, Callable[[Path], Path]] = {
    "nothing": lambda folder: folder / "no",
    "an empty folder": lambda folder: folder,
    "no bundle": lambda folder: zip_of(folder / "x.zip", {"a.txt": "a"}),
    "a cut model": lambda folder: cut(foreign(folder), 40),
    "a cut SavedModel": lambda folder: cut(saved_model(folder / "sm") / "saved_model.pb", 30).parent,
    "a cut GGUF": lambda folder: cut(gguf(folder / "m.gguf"), 60),
    "a false bundle": lambda folder: zip_of(folder / "x.zip", {"bundle.json": "{}", "spec.json": "{}"}),
    "an empty file": lambda folder: cut(gguf(folder / "m"), 0),
    "a pipe": lambda folder: pipe(folder / "m.gguf"),
}


def zip_of(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_told_is_one_line(case: str, tmp_path: Path) -> None:
    with pytest.raises(PortError) as caught:
        inspect(str(WRONG[case](tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_name_from_a_file_is_printed_without_what_a_terminal_obeys(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    model = onnx.load(path)
    model.producer_name = "\x1b[2Jx"
    onnx.save(model, path)
    assert CliRunner().invoke(cli, ["inspect", str(path)]).output.isprintable() is False  # lines
    assert "\x1b" not in CliRunner().invoke(cli, ["inspect", str(path)]).output


@pytest.mark.parametrize("kind", ["onnx", "saved_model", "gguf", "folder", "bundle"])
def test_both_ways_of_printing_hold_the_same(kind: str, tmp_path: Path, converted: Path, bundled: Path) -> None:
    paths: dict[str, Callable[[], Path]] = {
        "onnx": lambda: foreign(tmp_path),
        "saved_model": lambda: saved_model(tmp_path / "sm"),
        "gguf": lambda: gguf(tmp_path / "m.gguf"),
        "folder": lambda: converted,
        "bundle": lambda: bundled,
    }
    path = paths[kind]()
    found: Inspection = inspect(str(path))
    text = CliRunner().invoke(cli, ["inspect", str(path)])
    told = json.loads(CliRunner().invoke(cli, ["inspect", str(path), "--json"]).output)
    assert text.exit_code == 0
    assert found.kind in text.output
    assert told["kind_of_file"] == found.kind
    assert told["facts"] == dict(found.facts)
    for part in found.parts:
        assert part.name in text.output
        for tensor in (*part.inputs, *part.outputs):
            assert f"{tensor.name}: {tensor.dtype}" in text.output
    assert [model["name"] for model in told["models"]] == [part.name for part in found.parts]
