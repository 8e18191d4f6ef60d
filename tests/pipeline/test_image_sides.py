"""The image sides of MiniGPT-4 and LLaVA go where every family goes: other formats, half precision, layers to tap."""

from pathlib import Path

import pytest

import lwmport
from lwmport.models.options import Options
from lwmport.types import Status

WHOLES = {"minigpt4-image": "vit/blocks/1", "llava-image": "vision/layers/1"}
"""Component -> a layer in it."""


@pytest.mark.parametrize("dialect", ["ort", "ascend", "aipu", "migraphx"])
@pytest.mark.parametrize("name", WHOLES)
def test_a_whole_image_side_agrees_in_half_precision(name: str, dialect: str, tmp_path: Path) -> None:
    outcome = lwmport.convert(
        component=name,
        format="onnx",
        dialect=dialect,
        config="debug",
        out=tmp_path,
        options=Options(precision="float16"),
        samples=1,
    )
    assert outcome.status is Status.PASSED


@pytest.mark.parametrize("name", WHOLES)
def test_every_block_can_be_tapped(name: str, tmp_path: Path) -> None:
    outcome = lwmport.convert(component=name, format="onnx", config="debug", out=tmp_path, taps="layers", samples=1)
    assert outcome.status is Status.PASSED
    (tapped,) = (path for path in tmp_path.glob("*.taps.onnx"))
    assert WHOLES[name].encode() in tapped.read_bytes()
    assert outcome.report is not None
    (part, *_) = outcome.report.components
    assert "/ deviation by channel" in part.prepared["pixel_values"]
