"""What a port says was proven and was not done, in its line, on its page and in its bundle, follows its stages."""

import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.port import run as road
from lwmport.pipeline.port.ledger import Stage
from lwmport.pipeline.port.run import PortRequest, port
from lwmport.runtime.registry import RUNNERS
from lwmport.types import Status

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip


def asked(out: Path, soc: str | None = None) -> PortRequest:
    conversion = ConvertRequest(component="llama-head", format="onnx", out=out, config=SMALL)
    return PortRequest(conversion=conversion, target="ascend", soc=soc)


def readme(out: Path) -> str:
    with zipfile.ZipFile(out / "llama-head-ascend.zip") as bundle:
        return " ".join(bundle.read("README.txt").decode().split())


def test_a_port_says_what_was_compiled_once_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undone, done = "Not compiled for, not run on Ascend 310P1.", "Compiled for Ascend 310P1, not run on it."
    first = port(asked(tmp_path, "Ascend310P1"))
    assert first.status is Status.PASSED
    assert undone in first.sentence
    assert first.sentence.startswith("Numerically equal on a CPU (")
    assert undone in (tmp_path / "models" / "report.html").read_text()
    assert undone in readme(tmp_path)
    assert "compiled" not in first.stages[0].reason, "what the conversion proved stays true"

    made = SimpleNamespace(status=Status.PASSED, reason="made llama-head.om")
    monkeypatch.setattr(road, "compile_artifacts", lambda *_: (made,))
    monkeypatch.setattr(road, "installed", lambda *_: {"atc": "/usr/bin/atc"})
    second = port(asked(tmp_path, "Ascend310P1"))
    assert done in second.sentence
    for text in ((tmp_path / "models" / "report.html").read_text(), readme(tmp_path)):
        assert done in text
        assert undone not in text

    ran: list[str] = []
    monkeypatch.setattr(road, "convert", lambda *_: ran.append("convert"))
    third = port(asked(tmp_path, "Ascend310P1"))
    assert (third.sentence, ran) == (second.sentence, []), "a report that is brought up to date makes nothing void"


def test_a_port_says_that_what_was_compiled_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUNNERS.table, "ascend", replace(RUNNERS["ascend"], needs=()))
    made = SimpleNamespace(status=Status.PASSED, reason="made llama-head.om")
    monkeypatch.setattr(road, "compile_artifacts", lambda *_: (made,))
    monkeypatch.setattr(road, "judge_compiled", lambda *_: (Status.PASSED, "llama-head.om in ascend: equal"))
    bundled = Stage(name="bundle", status=Status.PASSED, reason="done")
    monkeypatch.setitem(road.STAGES, "bundle", lambda *_: bundled)
    request = asked(tmp_path)
    request = replace(request, conversion=replace(request.conversion, runner="ascend"))
    assert "Compiled for Ascend 310P3, run on it and equal." in port(request).sentence
