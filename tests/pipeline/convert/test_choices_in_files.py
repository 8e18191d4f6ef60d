"""Each format has one place where a model says what it depends on: its readers pass over it, and the model runs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import onnx
import pytest

import lwmport
from lwmport.models.options import Options
from lwmport.types import Status


def of_saved_model(folder: Path) -> Any:
    return json.loads((folder / "llama-head.saved_model/assets.extra/lwmport.json").read_text())["choices"]


def of_frozen_graph(folder: Path) -> Any:
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef.FromString((folder / "llama-head.pb").read_bytes())
    (text,) = [node.attr["_lwmport"].s for node in graph.node if "_lwmport" in node.attr]
    return json.loads(text)["choices"]


def of_onnx(folder: Path) -> Any:
    model = onnx.load(folder / "llama-head.onnx", load_external_data=False)
    return {entry.key.removeprefix("lwmport."): entry.value for entry in model.metadata_props}


READERS: Final[Mapping[str, tuple[str, str | None, Callable[[Path], Any]]]] = {
    "saved_model": ("saved_model", None, of_saved_model),
    "xla": ("saved_model", "xla", of_saved_model),
    "frozen_graph": ("frozen_graph", None, of_frozen_graph),
    "tf2onnx": ("onnx", "tf2onnx", of_onnx),
}
"""Road to a file -> its format, its dialect, and what reads the choices out of it."""


@pytest.mark.parametrize("name", READERS)
def test_the_model_says_its_choices(name: str, tmp_path: Path) -> None:
    form, dialect, read = READERS[name]
    made = lwmport.convert(
        component="llama-head",
        format=form,
        dialect=dialect,
        config="debug",
        out=tmp_path,
        samples=1,
        options=Options(settings=("theta=5e7",)),
    )
    assert made.status is Status.PASSED
    told = read(tmp_path)
    assert told["theta"] == "50000000 (--set theta)"
    assert told["weights"] == "random (seed 0), not trained"
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    listed = {file["name"] for part in manifest["components"] for file in part["files"]}
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        *listed,
        "manifest.json",
        *(f"report.{suffix}" for suffix in ("html", "json", "md")),
    }
