"""What a constant is for."""

from typing import Any

import numpy as np
import pytest
from operators_of_tests import OPERATORS, side, tables

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.roles import is_turning, role_of


def about(one: Side, **more: Any) -> Evidence:
    values = np.zeros(1, np.float32)
    return Evidence(format="onnx", expected=one, found=None, reference=values, observed=values, rounding=0, **more)


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("conv", ("kernel", "bias")),
        ("gemm", ("kernel", "bias")),
        ("matmul", ("kernel",)),
        ("layer_norm", ("gamma", "beta")),
        ("rms_norm", ("gamma",)),
        ("skip_rms_norm", ("gamma",)),
        ("group_norm", ("gamma", "beta")),
        ("rotary", ("table", "table")),
        ("table", ("table",)),
        ("embedding", ("weight",)),
        ("bias_add", ("bias",)),
        ("mask_add", ("mask",)),
        ("mean", (":axes",)),
        ("pad", (":pads",)),
        ("resize", (":scales",)),
        ("tflite_resize", (":size",)),
        ("division", ("number",)),
    ],
)
def test_each_constant_has_a_role(name: str, roles: tuple[str, ...]) -> None:
    one = OPERATORS[name](np.random.default_rng(0))
    found = [role_of(about(one), one, place) for place, held in enumerate(one.constant) if held]
    assert tuple(found) == roles


def test_a_small_number_is_an_epsilon_where_a_root_is_near() -> None:
    one = side("Add", {}, ("x", np.ones(3, np.float32)), ("=e", np.float32(1e-6)))
    assert role_of(about(one, consumers=("Sqrt",)), one, 1) == "epsilon"
    assert role_of(about(one, found_around=("MEAN", "ADD", "RSQRT")), one, 1) == "epsilon"
    assert role_of(about(one), one, 1) == "number"


@pytest.mark.parametrize("value", [-3.4e38, -np.inf, 3e4, -1e4])
def test_a_number_that_hides_is_a_mask(value: float) -> None:
    one = side("Mul", {}, ("x", np.ones(3, np.float32)), ("=m", np.float32(value)))
    assert role_of(about(one), one, 1) == "mask"


def test_a_matrix_that_turns_pairs_is_known() -> None:
    turn = OPERATORS["tflite_turn"](np.random.default_rng(0)).inputs[1]
    assert turn is not None
    assert is_turning(turn)
    assert not is_turning(np.eye(4))
    assert not is_turning(tables(8, 4)[0])
