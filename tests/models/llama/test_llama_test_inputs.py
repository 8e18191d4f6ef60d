"""What language models are tried on fits them, and finds small mistakes in a configuration out."""

import json
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport import manifest
from lwmport.models.families import resolve
from lwmport.models.llama.test_inputs import CASES, cases_of, language_inputs
from lwmport.models.options import Options
from lwmport.types import Status

CONFIG = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_sequence_length": 64, "scan_layers": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("sequence", "names"),
    [(58, {case.name for case in CASES if case.name != "decode"}), (64, {"prefill", "padded prefill"})],
)
def test_no_case_has_more_tokens_than_the_model_has_positions(sequence: int, names: set[str]) -> None:
    (component,) = resolve("llama", CONFIG, Options(sequence=sequence)).components
    found = cases_of(component)
    assert {case.name for case in found} <= names
    assert found
    for case in found:
        assert language_inputs(component, 2, case=case).inputs["position_ids"].max() < 64


@pytest.mark.parametrize(("field", "wrong"), [("rms_norm_eps", 1e-5), ("theta", 10100.0)])
@pytest.mark.parametrize("form", ["onnx", "tflite"])
@pytest.mark.parametrize("component", ["llama", "llama-block"])
def test_another_configuration_is_found_out(
    component: str, form: str, field: str, wrong: float, tmp_path: Path
) -> None:
    options = Options(sequence=16, max_length=32) if form == "tflite" else Options()
    request = lwmport.Request(
        component=component, format=form, out=tmp_path / "a", config={**CONFIG, field: wrong}, options=options,
        validate=False,
    )  # fmt: skip
    made = lwmport.convert(request).manifest
    path = tmp_path / "a" / manifest.NAME
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    document["config"][field] = resolve("llama", CONFIG).config[field]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert made.config[field] == wrong
    assert lwmport.validate(lwmport.Trial(artifact=tmp_path / "a")).status is Status.FAILED
