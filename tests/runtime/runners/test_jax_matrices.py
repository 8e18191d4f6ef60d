"""What a matrix is multiplied with, in a run whose matrices may become others on the way."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.models.llama.test_inputs import language_inputs
from lwmport.runtime.runners.jax_matrices import MatrixRunner
from lwmport.types import Array

FIRST, LAST = (f"transformer/h/0/feed_forward/w{part}/kernel" for part in (1, 2))


def test_every_matrix_sees_what_those_before_it_have_become() -> None:
    (component,) = resolve("llama", "debug").references
    weights, inputs = SeededWeights(component.weights, 0), language_inputs(component, 1).inputs
    met: list[Array] = []
    seen: list[str] = []
    for changed in ("", FIRST):

        def look(name: str, factors: Sequence[Any], changed: str = changed) -> Array:
            seen.append(name)
            met.extend([np.asarray(factors[0])] if name == LAST else [])
            found = weights.read(name)
            return np.zeros_like(found) if name == changed else found

        MatrixRunner(component, weights).run_up_to([inputs, inputs], [LAST], look)
    assert met[0].shape[-1] == component.config["intermediate_size"]
    assert met[0].any()
    assert not met[1].any()
    assert seen[-1] == LAST
    assert len(seen) == 2 * len({*seen})
