"""``lwmport compare``: exit codes as those of diff, a table, one JSON document."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import PortError


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["compare", *words], standalone_mode=False)


def model(path: Path, *operators: str) -> str:
    nodes = [onnx.helper.make_node("MatMul", ["x", "layers/0/kernel"], ["y0"])]
    nodes += [onnx.helper.make_node(name, [f"y{n}"], [f"y{n + 1}"]) for n, name in enumerate(operators)]
    ends = [onnx.helper.make_tensor_value_info(name, 1, [2, 8]) for name in ("x", nodes[-1].output[0])]
    kernel = onnx.numpy_helper.from_array(np.zeros((8, 8), np.float32), "layers/0/kernel")
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=[kernel])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    return model(tmp_path / "a.onnx", "Relu"), model(tmp_path / "b.onnx", "Relu", "Det2")


def test_the_same_is_0_and_another_is_1(files: tuple[str, str]) -> None:
    assert run(files[0], files[0]).return_value == 0
    found = run(*files)
    assert found.return_value == 1
    assert "DIFFERENT" in found.stdout
    assert "Det2: 0 → 1" in found.stdout
    assert "+ output y2" in found.stdout
    assert "- output y1" in found.stdout


def test_an_operator_that_a_target_refuses_is_told(files: tuple[str, str]) -> None:
    said = run(*files).stdout
    assert "cpu: B has" in said
    assert "P02 error, B ×1" in said
    assert "list of operators has no Det2, which only B has" in said


def test_one_document_tells_the_same(files: tuple[str, str]) -> None:
    found = run(*files, "--json")
    value = json.loads(found.stdout)
    assert value["status"] == "different"
    assert found.return_value == 1
    (cpu,) = [target for target in value["targets"] if target["target"] == "cpu"]
    assert cpu["status_b"] == "failed"
    assert cpu["operators"] == [{"operator": "Det2", "side": "B", "count": 1, "listed": None, "note": ""}]


def test_a_page_is_written_and_named(files: tuple[str, str], tmp_path: Path) -> None:
    pytest.importorskip("fast_sugiyama")
    out = tmp_path / "page"
    found = run(*files, "--out", str(out))
    assert f"page: {out / 'compare.html'}" in found.stdout
    assert sorted(path.name for path in out.iterdir()) == ["compare.html", "compare.json"]


def test_nothing_is_written_without_a_side(tmp_path: Path, files: tuple[str, str]) -> None:
    pytest.importorskip("fast_sugiyama")
    found = run(files[0], str(tmp_path / "none.onnx"), "--out", str(tmp_path / "page"))
    assert isinstance(found.exception, PortError)
    assert found.exception.exit_code == 3
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("size", ["sequence", "=4", "sequence=x", "sequence=0"])
def test_a_size_that_is_none_is_a_matter_of_usage(files: tuple[str, str], size: str) -> None:
    found = run(*files, "--size", size)
    assert found.exception is not None
    assert getattr(found.exception, "exit_code", None) == 2


def test_the_examples_of_the_document_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are the same run with the other documents."""
    pytest.importorskip("fast_sugiyama")
    monkeypatch.chdir(tmp_path)
    text = (Path(lwmport.__file__).parents[1] / "docs" / "compare.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for line in block.splitlines()]
    assert len(lines) == 2
    for words in lines:
        assert words[:2] == ["lwmport", "compare"]
        assert run(*words[2:]).return_value == 1
    assert (tmp_path / "ring" / "compare.html").is_file()


def test_names_of_a_file_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("Evil\x1b[31m", ["x"], ["y"])]
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in ("x", "y")]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:])), tmp_path / "e.onnx")
    said = run(str(tmp_path / "e.onnx"), model(tmp_path / "a.onnx", "Relu")).stdout
    assert "Evil" in said
    assert "\x1b" not in said
