"""The forms of a cache of fixed length, for one token and for several, against JAX's own update."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lwmport.converters.onnx.forms import FORMS
from lwmport.models.composites.language import CACHE_UPDATE, cache_update

RANDOM = np.random.default_rng(3)
CACHE = RANDOM.standard_normal((2, 3, 8, 4)).astype(np.float32)
INVENTORY = {
    ("TensorScatter", 1): {"Cast": 1, "Expand": 1, "TensorScatter": 1},
    ("TensorScatter", 3): {"Cast": 1, "Expand": 1, "TensorScatter": 1},
    ("Where", 1): {"Equal": 1, "Reshape": 1, "Where": 1},
    ("Where", 3): {"Equal": 1, "Gather": 1, "Max": 1, "Min": 1, "Reshape": 1, "Sub": 1, "Where": 1},
}


@pytest.mark.parametrize("position", [0, 2, 5])
@pytest.mark.parametrize(("form", "tokens"), INVENTORY)
def test_a_form_writes_the_slots_and_no_others(
    form: str, tokens: int, position: int, lower: Callable[..., Any]
) -> None:
    new = RANDOM.standard_normal((2, 3, tokens, 4)).astype(np.float32)
    opset = max(13, FORMS[form].since)
    start = np.asarray(position, np.int32)
    found = lower(cache_update, CACHE, new, start, composites={CACHE_UPDATE: [form]}, opset=opset)
    assert found.agrees(rtol=0, atol=0).operators == INVENTORY[form, tokens]
