"""What lies in the place of a file is said on every road that reads one, with what to do."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

from lwmport import manifest
from lwmport.checkpoints.lora import open_adapter
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import PortError
from lwmport.handoff.opening import Archive
from lwmport.instead import in_place_of, instead
from lwmport.models.families import resolve
from lwmport.pipeline.compile.calibration import given_samples
from lwmport.targets.graphs.opening import open_graph
from lwmport.targets.graphs.saved_model import read_saved_model
from lwmport.types import Signature, TensorSpec


def tar() -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as file:
        file.addfile(tarfile.TarInfo("model.safetensors"))
    return whole.getvalue()


PLACES: dict[str, tuple[bytes, str]] = {
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "Git LFS pointer.*run git lfs pull",
    ),
    "annex": (b"/annex/objects/SHA256E-s12--00.bin\n", "git-annex pointer.*run git annex get"),
    "page": (b"\n <!DOCTYPE html><html><title>Sign in</title>", "a web page.*download it again"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page.*download it again"),
    "message": (b"Entry not found", "a message of a server.*download it again"),
    "gzip": (gzip.compress(b"x" * 999), "a gzip archive: unpack it first"),
    "xz": (b"\xfd7zXZ\x00\x00\x04", "an xz archive: unpack it first"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04", "a zstd archive: unpack it first"),
    "tar": (tar(), "a tar archive: unpack it first"),
    "zeros": (bytes(4096), "begins with zeros.*download it again"),
    "empty": (b"", "an empty file"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_told_by_its_beginning(place: str) -> None:
    content, _ = PLACES[place]
    assert instead(content)


def hf(tmp_path: Path) -> Path:
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 8, "hidden_size": 4,
              "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"lm_head.weight": np.ones((8, 4), np.float32)}, tmp_path / "model.safetensors")
    return tmp_path


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def shards(folder: Path, content: bytes, whole: str, shard: str) -> Path:
    hf(folder)
    (folder / "model.safetensors").unlink()
    put(folder / f"{whole}.index.json", json.dumps({"weight_map": {"lm_head.weight": shard}}).encode())
    put(folder / shard, content)
    return folder


def sampled(folder: Path, content: bytes) -> None:
    put(folder / "x.npy", content)
    given_samples(folder, Signature(inputs=(TensorSpec(name="x", shape=(1,), dtype="float32"),), outputs=()))


ROADS: dict[str, Callable[[Path, bytes], object]] = {
    "a file": lambda folder, content: open_checkpoint(put(folder / "streaming_params", content)),
    "safetensors": lambda folder, content: open_checkpoint(put(folder / "model.safetensors", content)),
    "a folder's config": lambda folder, content: open_checkpoint(put(hf(folder) / "config.json", content).parent),
    "a folder's safetensors": lambda folder, content: open_checkpoint(
        put(hf(folder) / "model.safetensors", content).parent
    ),
    "a folder's index": lambda folder, content: open_checkpoint(
        put(
            shards(folder, b"", "model.safetensors", "m-1.safetensors") / "model.safetensors.index.json", content
        ).parent
    ),
    "a folder's shard": lambda folder, content: open_checkpoint(
        shards(folder, content, "model.safetensors", "m-1.safetensors")
    ),
    "a folder's .bin": lambda folder, content: open_checkpoint(
        shards(folder, content, "pytorch_model.bin", "pytorch_model-1.bin")
    ),
    "a configuration": lambda folder, content: resolve("vqgan", str(put(folder / "c.json", content))),
    "an .onnx": lambda folder, content: open_graph(put(folder / "m.onnx", content)),
    "a .tflite": lambda folder, content: open_graph(put(folder / "m.tflite", content)),
    "a .pb": lambda folder, content: open_graph(put(folder / "m.pb", content)),
    "samples": sampled,
    "a SavedModel": lambda folder, content: read_saved_model(put(folder / "saved_model.pb", content).parent),
    "a bundle": lambda folder, content: Archive(put(folder / "b.zip", content)),
    "a manifest": lambda folder, content: manifest.read(put(folder / "manifest.json", content).parent),
    "an adapter": lambda folder, content: open_adapter(
        put(folder / "adapter_model.safetensors", content)
        and put(folder / "adapter_config.json", b'{"peft_type": "LORA"}').parent
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("road", ROADS)
def test_every_road_says_what_lies_there_and_what_to_do(road: str, place: str, tmp_path: Path) -> None:
    content, message = PLACES[place]
    with pytest.raises(PortError, match=message) as caught:
        ROADS[road](tmp_path, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_nothing_is_said_of_real_files(tmp_path: Path) -> None:
    files = {
        "a.npy": lambda path: np.save(path, np.ones(3)),
        "a.npz": lambda path: np.savez(path, np.ones(3)),
        "a.safetensors": lambda path: save_file({"x": np.zeros(99, np.float32)}, path),
        "a.onnx": lambda path: onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])), path),
        "a.json": lambda path: path.write_text('{"a": 1}'),
    }
    for name, write in files.items():
        write(tmp_path / name)
        assert instead((tmp_path / name).read_bytes()[:300]) == ""


def test_a_header_of_safetensors_that_looks_like_gzip_is_one(tmp_path: Path) -> None:
    length = 0x8B1F  # the first two bytes are gzip's
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(length)
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (tmp_path / "model.safetensors", hf(folder) / "model.safetensors"):
        path.write_bytes(length.to_bytes(8, "little") + header + bytes(4))
    assert set(open_checkpoint(tmp_path / "model.safetensors").specs) == {"x"}
    with pytest.raises(PortError, match="found 1 others: x"):
        open_checkpoint(folder)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 40, 99])
def test_a_cut_file_is_one_line(size: int, tmp_path: Path) -> None:
    whole = hf(tmp_path) / "model.safetensors"
    whole.write_bytes(whole.read_bytes()[:size])
    with pytest.raises(PortError, match=r"model\.safetensors: (truncated|damaged)|expected a header") as caught:
        open_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not in_place_of(tmp_path / "pipe")
