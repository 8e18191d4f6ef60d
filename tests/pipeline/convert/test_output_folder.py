"""One folder, one conversion: a second one replaces the same files, or is refused with nothing touched."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport import atomic, manifest
from lwmport.errors import PortError

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip


def convert(out: Path, component: str, **fields: Any) -> manifest.Manifest:
    given = {"format": "onnx", "config": SMALL, "validate": False, **fields}
    return lwmport.convert(lwmport.Request(component=component, out=out, **given)).manifest


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


OTHERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "another component": ("llama-embed", {}, "llama-head.onnx.data of llama-head to onnx; choose another --out"),
    "another format": ("llama-head", {"format": "tflite"}, "for llama-head to tflite, found llama-head.onnx"),
    "a group without it": ("vqgan", {"config": "debug"}, "for vqgan-encoder, vqgan-decoder to onnx, found llama-head"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_conversion_is_refused_and_nothing_is_touched(name: str, tmp_path: Path) -> None:
    component, fields, said = OTHERS[name]
    convert(tmp_path, "llama-head")
    before = files(tmp_path)
    with pytest.raises(PortError) as caught:
        convert(tmp_path, component, **fields)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (("llama", "ascend"), ("llama-prefill", "ascend"), "llama-weights.onnx.data"),
        (("llama", "ascend"), ("llama", "aipu"), ""),
    ],
)
def test_weights_in_one_file_are_replaced_together(
    first: tuple[str, str], second: tuple[str, str], said: str, tmp_path: Path
) -> None:
    convert(tmp_path, first[0], dialect=first[1])
    before = set(files(tmp_path))
    if said:
        with pytest.raises(PortError, match=re.escape(said)):
            convert(tmp_path, second[0], dialect=second[1])
    else:
        convert(tmp_path, second[0], dialect=second[1])
    assert set(files(tmp_path)) == before


@pytest.mark.parametrize("content", [b"{}", b'{"format": "lwmport-manifest/9"}', b"no JSON"])
def test_a_manifest_of_something_else_is_not_overwritten(content: bytes, tmp_path: Path) -> None:
    (tmp_path / manifest.NAME).write_bytes(content)
    with pytest.raises(PortError, match="or none, found something else; choose another --out"):
        convert(tmp_path, "llama-head")
    assert [path.name for path in tmp_path.iterdir()] == [manifest.NAME]
    assert (tmp_path / manifest.NAME).read_bytes() == content


def test_the_same_component_is_replaced_and_foreign_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    convert(tmp_path, "llama-head")
    made = convert(tmp_path, "llama-head", dialect="onnx", seed=1)
    assert manifest.read(tmp_path) == made
    listed = {file.name for part in made.components for file in part.files}
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", manifest.NAME, *listed}
    assert not list(tmp_path.glob(f"{atomic.PREFIX}*"))


@pytest.mark.parametrize("validate", [True, False])
def test_a_report_of_an_earlier_version_is_named_with_what_to_do(tmp_path: Path, *, validate: bool) -> None:
    convert(tmp_path, "llama-head", validate=True)
    path = tmp_path / "report.json"
    older = {key: value for key, value in json.loads(path.read_text()).items() if key not in {"files", "seal"}}
    path.write_text(json.dumps(older))
    before = files(tmp_path)
    with pytest.raises(
        PortError, match=r"found report.html, .* if nobody edited them, delete report.html, report.json"
    ):
        convert(tmp_path, "llama-head", validate=validate)
    assert files(tmp_path) == before
    for page in ("report.html", "report.json", "report.md"):
        (tmp_path / page).unlink()
    convert(tmp_path, "llama-head", validate=validate)
    assert (tmp_path / "report.html").exists() == validate
