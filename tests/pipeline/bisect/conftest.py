"""Small converted models, and faults that are planted in copies of them."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exports import LANGUAGE, Fault, torch_encoder, torch_language_model
from exports import planted as planted_in
from onnx import numpy_helper

import lwmport
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.run import bisect
from lwmport.reports.bisection import Bisection

Change = Callable[[onnx.ModelProto, Path], None]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder of a small VQGAN, converted once."""
    return _converted(tmp_path_factory, component="vqgan-encoder")


@pytest.fixture(scope="session")
def torch_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder of a VQGAN of two levels by torch.onnx; its configuration lies beside it as small.json."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        return torch_encoder(tmp_path_factory.mktemp("torch-encoder"))


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small language model of any length, converted once."""
    return _converted(tmp_path_factory, component="llama", config=LANGUAGE)


@pytest.fixture(scope="session")
def language_export(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same language model as transformers computes it, by torch.onnx."""
    return torch_language_model(language_model, tmp_path_factory.mktemp("by-torch"))


@pytest.fixture
def searched(language_model: Path, language_export: Path, tmp_path: Path) -> Callable[[Fault], tuple[str, Bisection]]:
    """Return ``searched(fault)``: where a fault lies, and what a search of the export finds."""

    def search(fault: Fault) -> tuple[str, Bisection]:
        place = planted_in(language_export, fault, tmp_path / "planted.onnx")
        return place, bisect(BisectRequest(artifact=tmp_path / "planted.onnx", reference=str(language_model.parent)))

    return search


def _converted(folder: pytest.TempPathFactory, **request: Any) -> Path:
    out = folder.mktemp("bisect") / "out"
    lwmport.convert(**{"format": "onnx", "config": "debug", "out": out, "validate": False, **request})
    return next(path for path in out.iterdir() if path.suffix == ".onnx")


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[Path, Change], Path]:
    """Return ``planted(model, change)``: a copy of a converted folder with a change in its graph."""

    def plant(model: Path, change: Change) -> Path:
        folder = tmp_path / f"planted-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(model.parent, folder)
        path = folder / model.name
        found = onnx.load(path, load_external_data=False)
        change(found, folder)
        onnx.save(found, path)
        return path

    return plant


def weight(name: str, make: Callable[[Any], Any]) -> Change:
    """Return a change of one constant's values."""

    def change(model: onnx.ModelProto, folder: Path) -> None:
        tensor = next(item for item in model.graph.initializer if item.name == name)
        value = numpy_helper.to_array(tensor, base_dir=str(folder))
        made = np.ascontiguousarray(np.asarray(make(value.copy()), value.dtype))
        tensor.CopyFrom(numpy_helper.from_array(made, name))

    return change
