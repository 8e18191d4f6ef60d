"""A scheme of storage knows which tensors it takes and how many bytes they are, packed values and scales included."""

from dataclasses import replace
from typing import Any

import pytest

from lwmport.models.schemes import SCHEMES
from lwmport.types import Scheme, WeightSpec

FLOAT16 = SCHEMES["float16"]
INT4 = Scheme(name="int4", bits=4, dtype="uint8", group=32, scales="float16", symmetric=False)
"""What MatMulNBits stores: blocks of 32 along the contracted axis of each output, scales and zero points."""


@pytest.mark.parametrize(
    ("scheme", "shape", "count"),
    [
        pytest.param(FLOAT16, (4096, 11008), 2 * 4096 * 11008, id="float16"),
        pytest.param(INT4, (64, 8), 8 * (2 * 16 + 2 * 2 + 1), id="values, scales, zero points"),
        pytest.param(replace(INT4, symmetric=True), (64, 8), 8 * (2 * 16 + 2 * 2), id="no zero points"),
        pytest.param(INT4, (65, 8), 8 * (3 * 16 + 3 * 2 + 2), id="the last group is filled up"),
        pytest.param(replace(INT4, group=0, bits=8), (3, 3, 16, 8), 8 * (144 + 2 + 1), id="a channel is one group"),
        pytest.param(replace(INT4, channel=0, symmetric=True), (100, 64), 100 * (32 + 2 * 2), id="rows of a table"),
    ],
)
def test_stored_bytes(scheme: Scheme, shape: tuple[int, ...], count: int) -> None:
    assert scheme.stored_bytes(WeightSpec(shape=shape, dtype="float32")) == count


@pytest.mark.parametrize(
    ("name", "spec", "changes", "taken"),
    [
        ("a/kernel", ((64, 8), "float32"), {}, True),
        ("a/kernel", ((3, 3, 16, 8), "float32"), {}, True),
        ("a/bias", ((4096,), "float32"), {}, False),
        ("a/scale", ((1, 1, 1, 4096), "float32"), {}, False),
        ("a/kernel", ((15, 17), "float32"), {}, False),
        ("a/kernel", ((64, 8), "int32"), {}, False),
        ("lm_head/kernel", ((64, 8), "float32"), {"left_out": ("lm_head/*",)}, False),
        ("a/kernel", ((64, 8), "float32"), {"left_out": ("lm_head/*",)}, True),
    ],
)
def test_matrices_are_taken_and_vectors_are_not(name: str, spec: Any, changes: dict[str, Any], *, taken: bool) -> None:
    shape, dtype = spec
    assert replace(FLOAT16, **changes).takes(name, WeightSpec(shape=shape, dtype=dtype)) is taken
