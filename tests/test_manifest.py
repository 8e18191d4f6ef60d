"""The manifest: strict in, canonical out, and nothing outside its folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from lwmport import manifest, plain
from lwmport.errors import ArtifactError
from lwmport.types import Artifact, Signature, TensorSpec


def made(folder: Path) -> manifest.Manifest:
    (folder / "a.onnx").write_bytes(b"model")
    spec = TensorSpec(name="x", shape=("batch", 2), dtype="float32", value_range=(-1.0, 1.0))
    artifact = Artifact(
        component="a",
        format="onnx",
        dialect="ort",
        path=folder / "a.onnx",
        files=(folder / "a.onnx",),
        signature=Signature(inputs=(spec,), outputs=(spec,)),
        operators={"Conv": 2},
        details={"opset": 21},
    )
    return manifest.Manifest(
        format=manifest.FORMAT,
        lwmport="0",
        artifact_format="onnx",
        dialect="ort",
        component="vqgan-encoder",
        family="vqgan",
        config={"channel_mult": [1, 2]},
        options={"precision": "float16"},
        weights={"kind": "seeded", "seed": 1},
        weights_sha256="0" * 64,
        components=(manifest.entry(artifact, "1" * 64),),
        verdict="passed",
        versions={"jax": "1"},
        reproduce=("lwmport convert",),
    )


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    record = made(tmp_path)
    manifest.write(record, tmp_path)
    assert manifest.read(tmp_path) == record


def test_changed_and_missing_files_are_found(tmp_path: Path) -> None:
    (part,) = made(tmp_path).components
    assert manifest.changed_files([part], tmp_path) == []
    (tmp_path / "a.onnx").write_bytes(b"nodel")
    assert manifest.changed_files([part], tmp_path) == ["a.onnx"]
    (tmp_path / "a.onnx").unlink()
    assert manifest.changed_files([part], tmp_path) == ["a.onnx"]


DAMAGE: dict[str, Any] = {
    "format": lambda value: value.update(format="other/1"),
    "unknown field": lambda value: value.update(extra=1),
    "missing field": lambda value: value.pop("dialect"),
    "type": lambda value: value.update(components={}),
    "absolute path": lambda value: value["components"][0].update(path="/etc/passwd"),
    "path outside": lambda value: value["components"][0]["files"][0].update(name="../a.onnx"),
    "empty path": lambda value: value["components"][0].update(path=""),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    value = plain.encode(made(tmp_path))
    DAMAGE[name](value)
    (tmp_path / manifest.NAME).write_text(json.dumps(value))
    with pytest.raises(ArtifactError) as caught:
        manifest.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe"], ids=["empty", "cut", "deep", "bytes"])
def test_what_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / manifest.NAME).write_bytes(content)
    with pytest.raises(ArtifactError):
        manifest.read(tmp_path)


def test_a_folder_without_one_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="convert into this folder first"):
        manifest.read(tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest.write(made(tmp_path), tmp_path)
    monkeypatch.setattr(manifest, "LIMIT", 8)
    with pytest.raises(ArtifactError, match="found: it has more than 8 bytes"):
        manifest.read(tmp_path)
