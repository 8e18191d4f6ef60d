"""``lwmport bisect`` of an export by torch.onnx, with a checkpoint or a converted folder that tells its component."""

import warnings
from pathlib import Path

import pytest
from exports import planted, small_config, torch_encoder, transposed_kernel

from lwmport.errors import UsageError
from lwmport.pipeline.bisect.foreign import is_foreign
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.run import bisect
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.types import Status


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an export, the same with a fault, and what lwmport made of the same model."""
    found = tmp_path_factory.mktemp("foreign")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        model = torch_encoder(found)
    (found / "place").write_text(planted(model, transposed_kernel, found / "planted.onnx"))
    asked = {"component": "vqgan-encoder", "format": "onnx", "config": str(small_config(found)), "validate": False}
    convert(ConvertRequest(**asked, out=found / "ours"))
    return found


def test_an_export_with_a_fault_is_explained_in_a_report(folder: Path, tmp_path: Path) -> None:
    asked = BisectRequest(artifact=folder / "planted.onnx", reference=str(folder / "ours"), out=tmp_path / "report")
    found = bisect(asked)
    assert found.status is Status.FAILED
    assert found.first is not None
    assert found.first.output == (folder / "place").read_text()
    assert found.first.cause in {None, "transposed-kernel"}
    assert not found.others
    assert found.component == "vqgan-encoder"
    assert (tmp_path / "report/bisect.html").is_file()
    assert any("known by their values" in note for note in found.notes)


def test_what_a_manifest_names_is_not_foreign(folder: Path) -> None:
    assert is_foreign(folder / "planted.onnx")
    assert not is_foreign(folder / "ours" / "vqgan-encoder.onnx")
    assert not is_foreign(folder / "ours")
    assert not is_foreign(folder / "missing.onnx")


def test_an_export_that_nothing_tells_of_asks_for_a_reference(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"expected --reference or --checkpoint for a model that has no manifest"):
        bisect(BisectRequest(artifact=folder / "planted.onnx"))
    with pytest.raises(UsageError, match=r"expected --reference to be what lwmport converted"):
        bisect(BisectRequest(artifact=folder / "planted.onnx", reference=str(folder / "torch-encoder.onnx")))
