"""What plain TensorFlow operators cannot hold is refused, with the operation and the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from lwmport.errors import LoweringError, MissingExtraError
from lwmport.graphs.trace import trace

GRID = np.ones((2, 4, 5, 4), np.float32)
NHWC = ("NHWC", "HWIO", "NHWC")


def convolved(x: Any, kernel: tuple[int, ...], padding: Any = "SAME", **options: Any) -> Any:
    return lax.conv_general_dilated(x, jnp.ones(kernel), (1, 1), padding, dimension_numbers=NHWC, **options)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "no rule": (lax.cumsum, (np.ones(3, np.float32),), "cumsum"),
    "bits": (lambda x: x & 5, (np.ones(3, np.int32),), "'and' to be bool, found int32"),
    "a shift by a value": (lambda x: lax.shift_right_arithmetic(x, x), (np.ones(3, np.int32),), "shift by a constant"),
    "two axes written": (
        lambda x: lax.dynamic_update_slice(x, jnp.ones((1, 2), x.dtype), (x[0, 0], x[1, 1])),
        (np.ones((3, 4), np.int32),),
        "expected an update of one axis",
    ),
    "a scan from the end": (
        lambda x: lax.scan(lambda c, y: (c + y, y), x[0], x, reverse=True)[0],
        (np.ones(3, np.float32),),
        "found one from the last",
    ),
    "grouped": (lambda x: convolved(x, (3, 3, 2, 4), feature_group_count=2), (GRID,), "found 2"),
    "transposed": (lambda x: convolved(x, (3, 3, 4, 4), [(1, 1), (1, 1)], lhs_dilation=(2, 2)), (GRID,), "transposed"),
    "one axis": (
        lambda x: lax.conv_general_dilated(
            x, jnp.ones((3, 4, 2)), (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
        ),
        (np.ones((1, 5, 4), np.float32),),
        "found one of 1 axes",
    ),
    "interior padding": (lambda x: lax.pad(x, np.float32(0), ((0, 0, 1),)), (np.ones(3, np.float32),), "interior"),
    "padded windows": (
        lambda x: lax.reduce_window(x, np.float32(0), lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "SAME"),
        (GRID,),
        "without padding",
    ),
    "gather of parts": (lambda x: x[jnp.asarray([1, 0]), 1:3], (np.ones((3, 4), np.float32),), "whole rows"),
    "no such type": (
        lambda x: x @ x,
        (np.ones((2, 2), np.int8),),
        r"TensorFlow refused dot_general of int8\[2, 2\], int8\[2, 2\] at / of small: .*int8",
    ),
    "choice by number": (
        lambda x: lax.select_n(x, jnp.zeros(3), jnp.ones(3), jnp.ones(3)),
        (np.ones(3, np.int32),),
        "choice by bool, found one by int32",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str, lower: Callable[..., Any]) -> None:
    function, inputs, words = CASES[case]
    with pytest.raises(LoweringError, match=words):
        lower(function, *inputs)


def test_random_numbers_are_not_frozen(lower: Callable[..., Any]) -> None:
    with pytest.raises(LoweringError, match=r"random|threefry"):
        lower(lambda x: x + jax.random.normal(jax.random.key(0), x.shape), np.ones(3, np.float32))


@pytest.mark.usefixtures("tf")
def test_a_frozen_graph_has_one_node_a_name(plain: Any, component_of: Any, weights_of: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    from lwmport.converters.saved_model.frozen import convert
    from lwmport.types import Signature

    component = component_of(lambda x: x + 1, (np.ones(3, np.float32),))
    (value,) = component.signature.inputs
    same = replace(
        component,
        signature=Signature(inputs=(value,), outputs=(value,)),
        apply=lambda _, inputs: {"x0": inputs["x0"] + 1},
    )
    with pytest.raises(LoweringError, match="found x0, x0_1"):
        convert(trace(same), weights_of({}), plain, tmp_path, lambda *_: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("tf")
def test_a_frozen_graph_is_smaller_than_2_gib(plain: Any, component_of: Any, weights_of: Any, tmp_path: Path) -> None:
    from lwmport.converters.saved_model.frozen import convert

    large = jax.ShapeDtypeStruct((2**15, 2**14), "float32")
    component = component_of(lambda x, large: x @ large, (np.ones((1, 2**15), np.float32),), {"large": large})
    with pytest.raises(
        LoweringError, match=r"at most 2147483647 bytes .* found 21474.*small.pb; convert to saved_model"
    ):
        convert(trace(component), weights_of({}), plain, tmp_path, lambda *_: None)


def test_a_missing_tensorflow_costs_one_line(
    plain: Any, component_of: Any, weights_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from lwmport.converters.saved_model import convert, frozen

    monkeypatch.setitem(sys.modules, "tensorflow", None)
    program = trace(component_of(lambda x: x + 1, (np.ones(3, np.float32),)))
    for module in (convert, frozen):
        with pytest.raises(MissingExtraError, match=r"pip install 'lwmport\[tf\]'") as caught:
            module.convert(program, weights_of({}), plain, tmp_path, lambda *_: None)
        assert "\n" not in str(caught.value)
