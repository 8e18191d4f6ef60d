"""The walk beside the reference: what it takes for the same."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from lwmport.pipeline.bisect.walk import Walk


def pieces(**constants: list[int]) -> Any:
    """Return a model of nothing but constants."""
    values = {name: np.array(value) for name, value in constants.items()}
    return SimpleNamespace(operators=(), inputs=(), outputs=(), constants=values, constant=values.__getitem__)


def test_a_constant_is_held_against_each_one_that_stands_in_its_place() -> None:
    """A file reads the begin of one slice for the end of another: one name, two others beside it."""
    walk = Walk(pieces(begin=[0], end=[1]), pieces(begin=[0], end=[1]), [])
    assert walk.is_equal("begin", "begin")
    assert not walk.is_equal("begin", "end")
    assert walk.is_equal("begin", "begin")
