"""A part of a fixed number of tokens, as processors for neural networks take it, run as one of any smaller number.

What stands behind the tokens is zeros: keys there are masked, and what queries there give is cut off again.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from lwmport.runtime.ring.running import Running
from lwmport.types import Array, Runner, Signature

BY_HEADS: Final = ("query", "key", "value", *Running._fields)
"""Arrays [b, heads, n, ...]; all others that have tokens are [b, n, ...]."""

GIVES_COUNT: Final = ("query", "hidden_states", "input_ids")
"""Inputs whose tokens the outputs are for."""


class FixedRunner:
    """A runner (`lwmport.types.Runner`) of up to ``count`` tokens over one of exactly as many.

    Args:
        runner: of the part.
        count: its tokens.
    """

    streamed = False

    def __init__(self, runner: Runner, count: int) -> None:
        self._runner, self._count = runner, count
        self.name, self.notes = runner.name, runner.notes
        self.inputs, self.outputs = runner.inputs, runner.outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name, for as many tokens as were given."""
        dtypes = {spec.name: spec.dtype for spec in self.inputs}
        given = {name: self._padded(name, value).astype(dtypes[name], copy=False) for name, value in inputs.items()}
        first = next(name for name in GIVES_COUNT if name in inputs)
        count = inputs[first].shape[_axis(first)]
        found = self._runner.run(given)
        return {name: value[(slice(None),) * _axis(name) + (slice(count),)] for name, value in found.items()}

    def close(self) -> None:
        """Close the part."""
        self._runner.close()

    def _padded(self, name: str, value: Array) -> Array:
        if not value.ndim:
            return value  # a place, which is no array of tokens
        axis = _axis(name)
        more = [(0, self._count - value.shape[axis] if place == axis else 0) for place in range(value.ndim)]
        return np.pad(value, more)


def fixed_count(tokens: Signature) -> int | None:
    """Return how many tokens the part has that takes their ids; None for any number."""
    count = next(spec for spec in tokens.inputs if spec.name == "input_ids").shape[1]
    return count if isinstance(count, int) else None


def _axis(name: str) -> int:
    """Return which axis of an input or an output is that of the tokens."""
    return 2 if name.removeprefix("new_") in BY_HEADS else 1
