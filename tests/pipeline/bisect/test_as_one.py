"""Operators that are taken as one: what they seem to be is told only if nothing else gives the same."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lwmport.pipeline.bisect.anchors import print_of
from lwmport.pipeline.bisect.as_one import as_one
from lwmport.pipeline.bisect.pool import Entry, Match
from lwmport.pipeline.bisect.views import same
from lwmport.runtime.pieces.spec import Operator

X = np.linspace(0.4, 0.8, 32, dtype=np.float32)
RIGHT = X / (1 + np.exp(-X))


def known_as(label: str) -> Match:
    told = print_of(X)
    assert told is not None
    return Match(entry=Entry(label=label, shape=X.shape, print=told), view=same(X.shape), error=0.0)


@pytest.mark.parametrize(("inputs", "cause"), [(("x",), "wrong-operator"), (("x", "x"), None)])
def test_an_operator_that_reads_a_tensor_twice_is_not_told_as_a_square(inputs: tuple[str, ...], cause: str) -> None:
    squared = Operator(name="y", type="Mul", attributes={}, inputs=inputs, outputs=("y",))
    near = known_as("silu")
    walk = SimpleNamespace(
        file=SimpleNamespace(format="onnx", operators=[squared], constants={}),
        pool=SimpleNamespace(near=lambda *_: near, value=lambda _: RIGHT),
        known=SimpleNamespace(matches={"x": known_as("x")}),
        makers={"y": 0},
        data=lambda operator: list(operator.inputs),
    )
    region: Any = SimpleNamespace(walk=walk, numbers=[0], value={"x": X, "y": X * X}.get)
    found = as_one(region)
    assert (None if found is None else found.told.cause) == cause
