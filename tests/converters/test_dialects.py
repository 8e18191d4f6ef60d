"""Dialects are data: complete, consistent, and chosen by name and opset."""

import re

import pytest

from lwmport.converters import CONVERTERS
from lwmport.converters.dialects import DEFAULTS, DIALECTS, dialect_for
from lwmport.converters.onnx.forms import FORMS
from lwmport.errors import UsageError
from lwmport.models.composites import basic as composites
from lwmport.models.composites import language as llama_composites
from lwmport.models.composites import rounding, transformer

COMPOSITES = {
    value
    for module in (composites, llama_composites, rounding, transformer)
    for name, value in vars(module).items()
    if name.isupper()
}
PRIMITIVES = {"conv_general_dilated", "scan"}
"""What has several forms without being a composite."""

QUANTISED = {"quantised_dot", "quantised_rows"}
"""What reads quantised weights: there is none of it below the opset of each kind of quantisation."""

ONNX = [name for name, dialect in DIALECTS.items() if dialect.format == "onnx" and name != "tf2onnx"]
"""The dialects that the direct converter writes; tf2onnx takes another route to the format."""


def test_each_format_has_a_usual_dialect() -> None:
    for form, name in DEFAULTS.items():
        assert form in CONVERTERS
        assert dialect_for(form) is DIALECTS[name]
        assert DIALECTS[name].format == form


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_consistent(name: str) -> None:
    dialect = DIALECTS[name]
    low, high = dialect.opsets
    assert dialect.name == name
    assert dialect.format in DEFAULTS
    assert low <= dialect.opset <= high
    assert set(dialect.composites) <= COMPOSITES | PRIMITIVES | QUANTISED
    assert dialect.summary


DECOMPOSED = {"lwmport.causal_attention", "lwmport.rms_norm", "lwmport.rotary_embedding"}
"""Composites that standard ONNX has operators for from opset 23 on, and plain operators before."""


@pytest.mark.parametrize("name", ONNX)
def test_every_form_of_an_onnx_dialect_exists_and_one_fits_every_opset(name: str) -> None:
    dialect = DIALECTS[name]
    for composite, forms in dialect.composites.items():
        assert set(forms) <= set(FORMS)
        since = min(FORMS[form].since for form in forms)
        first = dialect.quantizes["w4a16"] if composite in QUANTISED else dialect.opsets[0]
        assert since <= (23 if composite in DECOMPOSED else first), composite


def test_an_opset_changes_nothing_else() -> None:
    found = dialect_for("onnx", "onnx", 13)
    assert found.opset == 13
    assert (found.name, found.composites) == ("onnx", DIALECTS["onnx"].composites)
    assert DIALECTS["onnx"].opset == 21


@pytest.mark.parametrize(
    ("name", "opset", "message"),
    [
        ("onnx", 12, "expected an opset from 13 to 24 for the dialect 'onnx', found 12"),
        ("onnx", 25, "expected an opset from 13 to 24 for the dialect 'onnx', found 25"),
        ("ort", 20, "expected an opset from 21 to 21 for the dialect 'ort', found 20"),
        (None, 13, "expected an opset from 21 to 21 for the dialect 'ort', found 13"),
        ("onnxx", None, "found 'onnxx'; did you mean 'onnx'?"),
        ("tensorrt", None, "expected a dialect of onnx out of ort, onnx"),
    ],
)
def test_what_there_is_not_is_refused(name: str | None, opset: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        dialect_for("onnx", name, opset)
