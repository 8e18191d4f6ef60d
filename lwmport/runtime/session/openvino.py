"""States in OpenVINO: variables of the model, which a run writes where they are; each session has its own request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lwmport.runtime.runners.openvino_states import ORDER
from lwmport.runtime.session.arrays import ArraysBackend
from lwmport.runtime.session.backend import Backend, OpenedModels, PhaseModel, first, growing
from lwmport.runtime.session.layout import EMBEDS, IDS, MASK
from lwmport.types import DECODE, Array, Update


@dataclass(kw_only=True)
class Held:
    """A request, and how many tokens its variables have, one that was ended in its run among them."""

    request: Any
    tokens: int


class VariablesBackend(OpenedModels):
    """Holds requests of OpenVINO, each with variables of its own."""

    def __init__(self, models: Mapping[str, PhaseModel]) -> None:
        super().__init__(models)
        self._runner = models[DECODE].runner
        self._runner.keep_states(models[DECODE].signature.states)

    def hold(self, arrays: Mapping[str, Array]) -> Held:
        """Return a request with these states; a state of no tokens is what it begins with."""
        request, axes = self._runner.request(), growing(self._models[DECODE].signature)
        for variable in request.query_state():
            if arrays[variable.name].size:
                variable.state = self._runner.tensor(arrays[variable.name])
        return Held(request=request, tokens=max(arrays[name].shape[axis] for name, axis in axes.items()))

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], Any]:
        """Return (results by name, the request).

        A run that was ended, by Ctrl-C or a failure, may have written behind the tokens that are held: that is cut off.

        Raises:
            RunnerError: OpenVINO failed.
        """
        total = inputs[MASK].shape[1]
        before = total - inputs[IDS if IDS in inputs else EMBEDS].shape[1]
        if held.tokens != before:
            held = self.cut(held, before)
        held.tokens = total
        given = {**inputs, ORDER: np.arange(len(inputs[MASK]), dtype=np.int32)}
        return self._runner.run_request(held.request, given, self._models[phase].results), held

    def copy(self, held: Any) -> Any:
        """Return another request with the same states."""
        return self.hold(_states(held))

    def cut(self, held: Any, tokens: int) -> Any:
        """Return a request with the states of the first tokens."""
        axes, arrays = growing(self._models[DECODE].signature), _states(held)
        return self.hold({name: first(array, axes[name], tokens) for name, array in arrays.items()})


def _states(held: Held) -> dict[str, Array]:
    return {variable.name: np.array(variable.state.data) for variable in held.request.query_state()}


def openvino_backend(models: Mapping[str, PhaseModel]) -> Backend:
    """Return what keeps the states: variables, where one model has all phases and its caches grow; else arrays."""
    runners = {model.runner for model in models.values()}
    states = models[DECODE].signature.states
    if len(runners) == 1 and all(state.update is Update.GROWS for state in states):
        return VariablesBackend(models)
    return ArraysBackend(models)
