"""Regions of several operators: recognised as one operator, whose rules then hold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from faults_of_tests import FAULTS
from operators_of_tests import OPERATORS, drawn, evidence, side

from lwmport.diagnosis.diagnose import diagnose
from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.pointwise import quick_gelu, tanh_gelu
from lwmport.diagnosis.formulas.table import compute

REGIONS = (
    "layer_norm",
    "rms_norm",
    "skip_rms_norm",
    "group_norm",
    "gelu",
    "conv",
    "tflite_dense",
    "average_pool",
    "sigmoid",
)


def region(one: Evidence) -> Evidence:
    """Return evidence whose operator is not known any more, its inputs in no certain order."""
    right = one.expected
    assert right is not None
    order = [at for at in range(len(right.inputs))[::-1] if right.inputs[at] is not None]
    inputs, names, constant = (
        tuple(field[at] for at in order) for field in (right.inputs, right.names, right.constant)
    )
    return replace(one, expected=Side(type="region", inputs=inputs, names=names, constant=constant), found=None)


def told(one: Evidence) -> str | None:
    found = diagnose(region(one))
    return None if found is None else found.cause


@pytest.mark.parametrize("name", REGIONS)
def test_a_fault_in_a_region_gets_its_word_or_none(name: str) -> None:
    words = set()
    random = np.random.default_rng(11)
    right = OPERATORS[name](random)
    for word, fault in FAULTS.items():
        found = {told(evidence(name, right, wrong)) for wrong in fault(right, random)}
        assert found <= {word, None}
        words |= found - {None}
    assert words, "nothing was recognised"


@pytest.mark.parametrize(("function", "word"), [(tanh_gelu, "tanh-gelu"), (quick_gelu, "wrong-operator")])
def test_another_gelu_is_told(function: Any, word: str) -> None:
    right = OPERATORS["gelu"](np.random.default_rng(0))
    one = evidence("gelu", right, right)
    assert told(replace(one, observed=function(right.inputs[0].astype(np.float64)).astype(np.float32))) == word


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_other_variance_is_told(ddof: int) -> None:
    x = drawn(np.random.default_rng(0), 6, 10)
    norms = [
        side("LayerNormalization", {"axis": -1, "epsilon": 1e-6, "ddof": count}, ("x", x)) for count in (ddof, 1 - ddof)
    ]
    assert told(evidence("layer_norm", *norms)) == "biased-variance"
    spreads = [side("Variance", {"axes": -1, "ddof": count}, ("x", x)) for count in (ddof, 1 - ddof)]
    assert told(evidence("variance", *spreads)) == "biased-variance"


def test_what_no_operator_gives_is_not_recognised() -> None:
    x = drawn(np.random.default_rng(0), 6, 10)
    one = Evidence(
        format="onnx",
        expected=side("region", {}, ("x", x)),
        found=None,
        reference=np.cumsum(x, 1),
        observed=2 * np.cumsum(x, 1),
        rounding=1e-6,
    )
    assert diagnose(one) is None
    assert compute(side("region", {}, ("x", x))) is None
