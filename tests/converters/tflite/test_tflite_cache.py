"""The forms of a cache of fixed length, for one token and for several, against JAX's own update."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lwmport.models.composites.language import CACHE_UPDATE, cache_update

RANDOM = np.random.default_rng(3)
CACHE = RANDOM.standard_normal((2, 3, 8, 4)).astype(np.float32)
INVENTORY = {
    ("DYNAMIC_UPDATE_SLICE", 1): {"CONCATENATION": 1, "DYNAMIC_UPDATE_SLICE": 2, "MUL": 1, "RESHAPE": 1},
    ("DYNAMIC_UPDATE_SLICE", 3): {"CONCATENATION": 1, "DYNAMIC_UPDATE_SLICE": 2, "MUL": 1, "RESHAPE": 1},
    ("SELECT_V2", 1): {"EQUAL": 1, "MUL": 1, "RESHAPE": 1, "SELECT_V2": 2},
    ("SELECT_V2", 3): {
        "EQUAL": 1,
        "GATHER": 2,
        "MAXIMUM": 1,
        "MINIMUM": 1,
        "MUL": 1,
        "RESHAPE": 1,
        "SELECT_V2": 2,
        "SUB": 1,
    },
}
"""Of two caches that are written at one place, which is worked out once."""


def two_caches(cache: Any, new: Any, position: Any) -> Any:
    return cache_update(cache, new, position), cache_update(cache * 2, new, position)


@pytest.mark.parametrize("position", [0, 2, 5])
@pytest.mark.parametrize(("form", "tokens"), INVENTORY)
def test_a_form_writes_the_slots_and_no_others(
    form: str, tokens: int, position: int, lower: Callable[..., Any]
) -> None:
    new = RANDOM.standard_normal((2, 3, tokens, 4)).astype(np.float32)
    start = np.asarray(position, np.int32)
    found = lower(two_caches, CACHE, new, start, composites={CACHE_UPDATE: [form]}).agrees(rtol=0, atol=0)
    assert found.operators == INVENTORY[form, tokens]


def test_the_decomposition_writes_the_same(lower: Callable[..., Any]) -> None:
    new = RANDOM.standard_normal((2, 3, 1, 4)).astype(np.float32)
    found = lower(two_caches, CACHE, new, np.asarray(3, np.int32), composites={}).agrees(rtol=0, atol=0)
    assert found.operators["DYNAMIC_UPDATE_SLICE"] == 2
