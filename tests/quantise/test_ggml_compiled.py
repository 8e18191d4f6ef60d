"""Compiled tries of ggml's blocks give the bytes of numpy's, and leave alone what XLA would take for zero."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from lwmport.ggml_kinds import KINDS
from lwmport.quantise.ggml import blocks as subject
from lwmport.quantise.ggml import compiled, lines, q6_k
from lwmport.quantise.ggml.arithmetic import by_groups
from lwmport.types import Array

FEW = 48


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile for few blocks."""
    monkeypatch.setattr(subject, "AT_ONCE", FEW)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return, of each batch that is given to compiled tries, whether their result was taken."""
    found: list[bool] = []

    def counted(*given: Any, real: Any) -> Any:
        made = real(*given)
        found.append(made is not None)
        return made

    for name in ("lines", "units"):
        monkeypatch.setattr(compiled, name, partial(counted, real=getattr(compiled, name)))
    return found


def values() -> dict[str, Array]:
    """Return batches [FEW, 256] that compiled tries take: numbers around zero, and groups that are special."""
    random = np.random.default_rng(0)
    normal = (random.standard_normal((FEW, 256)) * 0.02).astype(np.float32)
    special = normal.copy()
    special[0], special[1, :32], special[2], special[3] = 0, 0, 0.03, -0.03
    special[4], special[5] = np.abs(special[4]), -np.abs(special[5])
    special[6, ::7] *= 1000
    special[7] = np.round(special[7] * 100) / 100
    special[8] *= 1e6
    special[9] = np.where(special[9] > 0, special[9], 0)
    special[10, ::2] = -0.0
    coarse = (normal.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return {"normal": normal, "special": special, "bfloat16": coarse, "levels": random.integers(-9, 9, (FEW, 256)) / 8}


@pytest.mark.parametrize("kind", subject.OWN)
def test_bytes_are_numpys(kind: str, taken: list[bool]) -> None:
    for about, batch in values().items():
        x = batch.astype(np.float32)
        assert compiled.is_plain(x.reshape(-1, 32).T), about
        expected = subject.quantised(x, KINDS[kind])
        np.testing.assert_array_equal(subject.quantised(x, KINDS[kind], compiled=True), expected, about)
    assert taken == [True] * len(values())


def test_every_number_of_a_search_is_numpys() -> None:
    """Levels hide most of what a sum that is rounded otherwise would change; the error of a line does not."""
    x = by_groups(values()["normal"], lines.GROUP)
    found, expected = (lines._Search(x, lines.FOUR_BITS).best(compiled=each) for each in (True, False))
    for name, own, others in zip(lines.Fit._fields, found, expected, strict=True):
        np.testing.assert_array_equal(own, others, name)
    x = by_groups(values()["normal"], q6_k.GROUP)
    units, of_numpy = (q6_k._fit(x, compiled=each) for each in (True, False))
    for name, own, others in zip(q6_k.Fit._fields, units, of_numpy, strict=True):
        np.testing.assert_array_equal(own, others, name)


@pytest.mark.parametrize("factor", [3e-6, 1e-7, 1e-11, 1e-20, 1e-42])
@pytest.mark.parametrize("kind", subject.OWN)
def test_numbers_near_zero_are_numpys(kind: str, factor: float) -> None:
    x = values()["normal"]
    for tiny in (x * np.float32(factor), np.where(np.arange(256) % 3, x, x * np.float32(factor))):
        expected = subject.quantised(tiny, KINDS[kind])
        np.testing.assert_array_equal(subject.quantised(tiny, KINDS[kind], compiled=True), expected)


def test_lines_near_zero_are_numpys(taken: list[bool]) -> None:
    """Values that lie on levels: their lines begin at zero, but for what rounding leaves."""
    x = (np.random.default_rng(1).integers(0, 16, (FEW, 256)) * 1e-5).astype(np.float32)
    x[:, ::32] = np.float32(15e-5)
    expected = subject.quantised(x, KINDS["Q4_K"])
    np.testing.assert_array_equal(subject.quantised(x, KINDS["Q4_K"], compiled=True), expected)
    assert taken == [False]


def test_which_values_are_plain() -> None:
    x = np.ones((32, 4), np.float32)
    for value, among_others, alone in (
        *((0.0, True, True), (2.0**-13, True, True), (2.0**-14, True, False)),
        *((2.0**-31, True, False), (2.0**-32, False, False)),
    ):
        x[:, 1], x[3, 2] = 1, -value
        assert compiled.is_plain(x) is among_others, value
        x[:, 1] = -value
        assert compiled.is_plain(x) is alone, value
