"""The examples of docs/python.md run, one after the other, as a reader would run them."""

import re
from pathlib import Path
from typing import Any

import pytest

import lwmport

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - the document's own examples
    said = capsys.readouterr().out
    assert len(blocks) >= 8
    assert names["pixels"].shape == (1, 32, 32, 3)
    assert names["errors"]
    assert names["outcome"].status == "passed"
    assert "found 'onxx'; did you mean 'onnx'?" in said
    assert "check vqgan-decoder.onnx for cpu" in said


def test_the_page_names_every_part_of_the_api() -> None:
    text = PAGE.read_text(encoding="utf-8")
    unsaid = {"Observer", "Request", "Trial", "__version__"}  # a protocol, and the names of before
    assert {name for name in lwmport.__all__ if f"`{name}`" not in text and f"lwmport.{name}" not in text} <= unsaid
