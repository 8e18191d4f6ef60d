"""How a constant came from another one: each kind, what it is not mistaken for, and what is not known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from operators_of_tests import drawn

from lwmport.diagnosis import blockwise
from lwmport.diagnosis.changes import change_of

TOLERANCE = 1e-6


def kind_of(right: Any, found: Any) -> str | None:
    change = change_of(right, np.asarray(found).astype(np.float32), TOLERANCE)
    return None if change is None else change.kind


def exchanged(x: Any) -> Any:
    y = x.copy()
    y[[0, 3]] = y[[3, 0]]
    return y


def interleaved(x: Any) -> Any:
    return x.reshape(-1, 4, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def first_is_other(x: Any) -> Any:
    y = x.copy()
    y.flat[0] += 1
    return y


CHANGES: dict[str, tuple[str | None, Callable[[Any], Any]]] = {
    "zeroed": ("zeroed", np.zeros_like),
    "ones": ("ones", np.ones_like),
    "halved": ("scaled", lambda x: x / 2),
    "negated": ("scaled", lambda x: -x),
    "transposed": ("transposed", lambda x: x.T),
    "reversed": ("reordered", lambda x: x[::-1]),
    "reversed both ways": ("reordered", lambda x: x[::-1, ::-1]),
    "exchanged": ("reordered", exchanged),
    "rolled by a half": ("halves", lambda x: np.roll(x, 8, 0)),
    "interleaved": ("interleaved", interleaved),
    "interleaved columns": ("interleaved", lambda x: interleaved(x.T).T),
    "rolled by one": ("reordered", lambda x: np.roll(x, 1, 0)),
    "clipped": ("clipped", lambda x: np.clip(x, -1, 1)),
    "clipped above": ("clipped", lambda x: np.minimum(x, 1)),
    "positive alone": ("clipped", lambda x: np.maximum(x, 0)),
    "a row of zeros": ("partly zeroed", lambda x: x * (np.arange(16) != 3)[:, None]),
    "float16": ("rounded", lambda x: x.astype(np.float16)),
    "8 bits": ("rounded", lambda x: np.round(x / np.abs(x).max() * 127) * np.abs(x).max() / 127),
    "4 bits": ("rounded", lambda x: np.round(x / np.abs(x).max() * 7) * np.abs(x).max() / 7),
    "8 bits for each row": (
        "rounded",
        lambda x: np.round(x / np.abs(x).max(1)[:, None] * 127) * np.abs(x).max(1)[:, None] / 127,
    ),
    "replaced": ("replaced", lambda x: drawn(np.random.default_rng(99), *x.shape)),
    "much larger": (None, lambda x: 9 * drawn(np.random.default_rng(99), *x.shape)),
    "noisy": (None, lambda x: x + 0.05 * drawn(np.random.default_rng(99), *x.shape)),
    "shuffled": (None, lambda x: np.random.default_rng(99).permutation(x.ravel()).reshape(x.shape)),
    "one value": (None, first_is_other),
    "shifted": (None, lambda x: x + 1),
    "not finite": (None, lambda x: np.where(x > 1, np.inf, x)),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("seed", range(4))
def test_a_change_is_named_or_not_known(name: str, seed: int) -> None:
    kind, change = CHANGES[name]
    right = drawn(np.random.default_rng(seed), 16, 16)
    assert kind_of(right, change(right)) == kind


@pytest.mark.parametrize("name", [name for name, (kind, _) in CHANGES.items() if kind != "scaled"])
def test_blocks_make_no_difference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "BLOCK", 16)
    kind, change = CHANGES[name]
    right = drawn(np.random.default_rng(1), 16, 16)
    assert kind_of(right, change(right)) == kind


def test_a_kernel_of_four_axes() -> None:
    right = drawn(np.random.default_rng(0), 8, 8, 3, 3)
    assert kind_of(right, right.swapaxes(0, 1)) == "transposed"
    assert kind_of(right, right.swapaxes(2, 3)) == "transposed"
    assert kind_of(right, right.transpose(0, 2, 3, 1).reshape(right.shape)) == "relaid"
    assert kind_of(right, right[:, :, ::-1, ::-1]) == "reordered"


def test_a_kernel_that_is_not_square_has_its_transpose_s_values() -> None:
    right = drawn(np.random.default_rng(0), 6, 10)
    assert kind_of(right, right.T.reshape(right.shape)) == "transposed"


def test_few_values_are_never_replaced_or_rounded() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        right, found = drawn(random, 4), drawn(random, 4)
        assert kind_of(right, found) in {None, "clipped", "scaled"}
    sparse = np.diag(drawn(random, 16))
    assert kind_of(sparse, np.diag(drawn(random, 16))) not in {"rounded", "reordered"}


def test_a_factor_is_told() -> None:
    right = drawn(np.random.default_rng(0), 16)
    change = change_of(right, right * np.float32(0.5), TOLERANCE)
    assert change is not None
    assert change.factor == pytest.approx(0.5)
    assert "0.5 times" in change.says
