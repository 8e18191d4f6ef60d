"""The targets' dialects: consistent as data, and what is written in them passes its own target's rules."""

import json
from pathlib import Path

import pytest

from lwmport.converters import CONVERTERS
from lwmport.converters.dialects import DIALECTS, dialect_for
from lwmport.converters.onnx.forms import FORMS
from lwmport.errors import UsageError
from lwmport.models.vqgan.config import CONFIGS
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.targets.dialects import ALL_DIALECTS, target_of
from lwmport.targets.registry import TARGETS
from lwmport.types import Status

WRITTEN = [
    ("ascend", 17),
    ("ascend", 11),
    ("ascend-npu", None),
    ("aipu", None),
    ("migraphx", None),
    ("aipu-tflite", None),
]


DECOMPOSED = {"lwmport.rms_norm", "lwmport.rounded"}
"""Composites that are written out of other operators where the opset has none of their forms, or that none asks for."""


def test_no_dialect_has_the_name_of_another() -> None:
    assert not set(ALL_DIALECTS) & set(DIALECTS)


@pytest.mark.parametrize(("target", "form"), [(name, form) for name in TARGETS.table for form in TARGETS[name].formats])
def test_the_dialect_of_a_target_is_one_of_its_format(target: str, form: str) -> None:
    assert form in CONVERTERS
    assert dialect_for(form, TARGETS[target].formats[form].name, extra=ALL_DIALECTS).format == form


@pytest.mark.parametrize("name", [name for name, dialect in ALL_DIALECTS.items() if dialect.format == "onnx"])
def test_every_form_exists_and_one_fits_every_opset(name: str) -> None:
    dialect = ALL_DIALECTS[name]
    low, high = dialect.opsets
    assert low <= dialect.opset <= high
    for composite, forms in dialect.composites.items():
        assert set(forms) <= set(FORMS)
        assert min(FORMS[form].since for form in forms) <= (high if composite in DECOMPOSED else low), composite


def test_dialects_of_targets_are_known_only_where_they_are_given() -> None:
    with pytest.raises(UsageError):
        dialect_for("onnx", "ascend")
    assert dialect_for("onnx", "ascend", 13, ALL_DIALECTS).opset == 13
    with pytest.raises(UsageError, match="expected an opset from 11 to 18"):
        dialect_for("onnx", "ascend", 19, ALL_DIALECTS)


@pytest.mark.parametrize(("name", "opset"), WRITTEN)
def test_what_is_written_is_right_and_passes_its_own_rules(name: str, opset: int | None, tmp_path: Path) -> None:
    form = ALL_DIALECTS[name].format
    if form == "tflite":
        pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed; run: pip install 'lwmport[tflite]'")
    config = {**CONFIGS["debug"].to_json(), "channel_mult": [1, 1], "num_res_blocks": 1}
    (tmp_path / "small.json").write_text(json.dumps(config))
    request = ConvertRequest(
        component="vqgan",
        format=form,
        dialect=name,
        opset=opset,
        config=str(tmp_path / "small.json"),
        out=tmp_path / "out",
    )
    found = convert(request)
    assert found.report is not None
    assert found.status is Status.PASSED
    for section in found.report.components:
        assert section.preflight is not None
        assert section.preflight.target == name.partition("-")[0]
        assert section.preflight.status is Status.PASSED, section.preflight.findings
        assert not [item for item in section.preflight.findings if item.severity != "note"]


def test_every_dialect_is_of_one_target() -> None:
    assert {name: target_of(name) for name in ALL_DIALECTS} == {name: name.partition("-")[0] for name in ALL_DIALECTS}
    assert target_of("ort") is None
    assert TARGETS["ascend"].dialects_of("onnx") == ("ascend", "ascend-npu", "ascend-deploy")
    assert TARGETS["ascend"].dialects_of("tflite") == ()
