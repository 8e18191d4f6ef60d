"""``lwmport list``: what each component can become, its configurations, chips, and other words for names."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from lwmport.cli.main import cli
from lwmport.converters.dialects import dialect_for
from lwmport.models.families import MODELS, NAMES, parts_of
from lwmport.models.options import Options
from lwmport.pipeline.names import named
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.targets.registry import TARGETS


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CliRunner().invoke(cli, ["list", "--json"]).output)
    return found


def test_every_component_has_its_configurations(told: dict[str, Any]) -> None:
    assert set(told["configurations"]) == set(NAMES)
    assert "lwm-text-1m" in told["configurations"]["llama"]
    assert "lwm-text-1m" not in told["configurations"]["vision-llama"]
    assert told["configurations"]["vqgan"] == ["lwm", "debug"]


def test_models_of_several_components_are_listed(told: dict[str, Any]) -> None:
    assert told["whole models"]["llava-1.5-7b"] == "LLaVA-1.5 7b: CLIP's tower, the projector and the language model"
    assert set(told["whole models"]) == set(MODELS)


def test_what_a_component_can_become_is_what_convert_takes(told: dict[str, Any]) -> None:
    for component, forms in told["conversions"].items():
        for form, dialects in forms.items():
            for name, parts in dialects.items():
                dialect = dialect_for(form, name, extra=ALL_DIALECTS)
                options = Options().completed(dialect)
                assert tuple(parts) == parts_of(component, options)
    assert told["conversions"]["llama"]["onnx"]["ascend"] == ["llama-prefill", "llama-decode"]
    assert told["conversions"]["llama"]["onnx"]["ort"] == ["llama"]
    for form in ("hf", "gguf"):
        assert form in told["conversions"]["llama"]
        assert form not in told["conversions"]["vqgan"]


def test_the_chips_are_those_of_the_targets(told: dict[str, Any]) -> None:
    assert set(told["chips"]) == set(TARGETS)
    assert told["chips"]["migraphx"] == list(TARGETS["migraphx"].chips)
    assert told["chips"]["cpu"] == ["onnxruntime", "openvino", "litert"]


def test_other_words_are_listed_and_mean_what_is_listed(told: dict[str, Any]) -> None:
    for option, field in (
        ("--target", "target"),
        ("--to", "format"),
        ("--precision", "precision"),
        ("--runner", "runner"),
    ):
        assert told["other words"][option]
        for item in told["other words"][option]:
            word, _, meaning = item.removesuffix(")").partition(" (")
            if " or " not in meaning:
                assert named({field: word})[field] == meaning


def test_the_terminal_says_the_same_once() -> None:
    lines = CliRunner().invoke(cli, ["list"]).output.splitlines()
    assert "  llama, vision-llama" in lines
    line = lines[lines.index("  llama, vision-llama") + 1]
    dialects = "ort, onnx, openvino, tf2onnx, cpu, ascend, ascend-npu, ascend-deploy, aipu, migraphx"
    assert f"onnx: {dialects} (as prefill + decode)" in line
    assert lines.count("  vqgan, vqgan-decoder, vqgan-encoder") == 1
