"""What is told of a comparison is what is done."""

from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport import memory
from lwmport.pipeline.observer import Silent
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip


class Listener(Silent):
    """Remembers the phases."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)


@pytest.mark.parametrize(("scarce", "name"), [(False, "JAX"), (True, "JAX, a weight at a time")])
def test_the_reference_that_runs_is_the_one_that_is_told(
    scarce: bool,  # noqa: FBT001 - a parameter of the test
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "is_scarce", lambda _: scarce)
    heard = Listener()
    request = lwmport.Request(component="llama-head", format="onnx", out=tmp_path, config=SMALL)
    made = lwmport.convert(request, heard)
    assert made.report is not None
    assert made.report.components[0].validation.reference == name
    assert f"llama-head: run the reference, {name}" in heard.phases
    validate(ValidateRequest(artifact=tmp_path), heard)
    assert f"llama-head: run the reference ({name}) and llama-head.onnx" in heard.phases
