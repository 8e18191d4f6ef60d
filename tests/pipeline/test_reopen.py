"""A converted folder, opened again: the parts that a path means, and the model behind them."""

from pathlib import Path

import pytest

import lwmport
from lwmport import manifest
from lwmport.errors import ArtifactError, CheckpointError
from lwmport.pipeline.reopen import find, reopen


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reopen") / "out"
    lwmport.convert(component="vqgan", format="onnx", config="debug", out=out, validate=False)
    return out


def test_a_folder_means_all_and_a_file_its_component(converted: Path) -> None:
    assert [part.name for part in reopen(converted).parts] == ["vqgan-encoder", "vqgan-decoder"]
    one = reopen(converted / "vqgan-decoder.onnx")
    assert [part.name for part in one.parts] == ["vqgan-decoder"]
    assert one.folder == converted
    assert one.path(one.parts[0]) == converted / "vqgan-decoder.onnx"


def test_model_and_weights_are_those_that_were_converted(converted: Path) -> None:
    found = reopen(converted)
    assert found.weights.digest() == found.manifest.weights_sha256
    assert found.component("vqgan-decoder").name == "vqgan-decoder"
    assert set(found.component_weights("vqgan-decoder").specs) >= set(found.component("vqgan-decoder").weights)
    assert found.family is found.family
    with pytest.raises(ArtifactError, match="expected components out of vqgan-encoder, vqgan-decoder in the manifest"):
        found.component("llama")


def test_another_checkpoint_is_refused_when_weights_are_asked_for(converted: Path, tmp_path: Path) -> None:
    found = reopen(converted, str(tmp_path / "none"))
    assert found.changed_files() == []
    with pytest.raises(CheckpointError):
        _ = found.weights


def test_what_no_manifest_names(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").touch()
    assert find(tmp_path / "x.onnx") is None
    with pytest.raises(ArtifactError, match="expected a manifest at"):
        reopen(tmp_path / "x.onnx")
    with pytest.raises(ArtifactError, match=f"expected a manifest at {tmp_path / manifest.NAME}"):
        reopen(tmp_path)
    data = converted / "vqgan-decoder.onnx.data"
    assert find(data) is None
    with pytest.raises(ArtifactError, match=r"expected an artifact that .*vqgan-encoder\.onnx, .*onnx\.data"):
        reopen(data)


def test_nothing_at_all(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="a model file or a folder of artifacts, found nothing at"):
        find(tmp_path / "x.onnx")
    with pytest.raises(ArtifactError, match=r"one of vqgan-encoder\.onnx, vqgan-decoder\.onnx in .*, found nothing at"):
        find(converted / "x.onnx")


def test_loading_takes_one_model(converted: Path) -> None:
    with pytest.raises(ArtifactError, match=r"expected one of vqgan-encoder\.onnx, .* found the folder of all"):
        lwmport.load(converted)
