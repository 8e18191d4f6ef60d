"""``lwmport bisect`` of an export by torch.onnx, with a checkpoint or a converted folder that tells its component."""

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from exports import Fault, planted, transposed_kernel

from lwmport.errors import PortError, UsageError
from lwmport.pipeline.bisect.foreign import is_foreign
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.run import bisect
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.reports.bisection import Bisection
from lwmport.types import Status


@pytest.fixture(scope="module")
def folder(torch_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an export that has a fault, and what lwmport made of the same model."""
    found = tmp_path_factory.mktemp("foreign")
    (found / "place").write_text(planted(torch_export, transposed_kernel, found / "planted.onnx"))
    config = str(torch_export.with_name("small.json"))
    asked = ConvertRequest(component="vqgan-encoder", format="onnx", config=config, validate=False, out=found / "ours")
    convert(asked)
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


def test_what_a_manifest_names_is_not_foreign(folder: Path, tmp_path: Path) -> None:
    assert is_foreign(folder / "planted.onnx")
    assert not is_foreign(folder / "ours" / "vqgan-encoder.onnx")
    assert not is_foreign(folder / "ours")
    assert not is_foreign(folder / "missing.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    assert not is_foreign(tmp_path / "pipe.onnx")  # nobody waits for it


def test_an_export_that_nothing_tells_of_asks_for_a_reference(folder: Path, torch_export: Path) -> None:
    with pytest.raises(UsageError, match=r"expected --reference or --checkpoint for a model that has no manifest"):
        bisect(BisectRequest(artifact=folder / "planted.onnx"))
    with pytest.raises(UsageError, match=r"expected --reference to be what lwmport converted"):
        bisect(BisectRequest(artifact=folder / "planted.onnx", reference=str(torch_export)))


def test_a_fault_that_only_another_case_shows_is_found(
    searched: Callable[[Fault], tuple[str, Bisection]],
) -> None:
    place, found = searched(new_before_old)
    assert found.status is Status.FAILED
    assert found.first is not None
    assert found.first.output == place


def new_before_old(model: onnx.ModelProto) -> str:
    """Put the new keys in front of those of the cache: without a cache nothing differs."""
    node = next(node for node in model.graph.node if any(name.startswith("past") for name in node.input)
                and node.op_type == "Concat")  # fmt: skip
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return str(node.output[0])


def test_too_little_memory_is_told_before_anything_is_computed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lwmport.memory.free_bytes", lambda: 1000)
    with pytest.raises(
        PortError, match=r"expected about [\d,]+ bytes of free memory to hold what the reference computes"
    ):
        bisect(BisectRequest(artifact=folder / "planted.onnx", reference=str(folder / "ours")))
