"""States as numpy arrays that go in and out of a runner: right for any runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lwmport.runtime.session.backend import OpenedModels, first, growing
from lwmport.types import DECODE, Array


class ArraysBackend(OpenedModels):
    """Feeds the arrays that a run gave to the next run. Nothing changes an array, so that copies share them."""

    def hold(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return the arrays by input."""
        return dict(arrays)

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return (results by name, states by input).

        Raises:
            RunnerError: the runtime failed.
        """
        model = self._models[phase]
        return model.divide(model.runner.run({**inputs, **{name: held[name] for name in model.fed}}))

    def cut(self, held: Any, tokens: int) -> Any:
        """Return the states of the first tokens."""
        axes = growing(self._models[DECODE].signature)
        return {**held, **{name: np.ascontiguousarray(first(held[name], axis, tokens)) for name, axis in axes.items()}}

    def copy(self, held: Any) -> Any:
        """Return the same arrays."""
        return held
