"""States in ONNX Runtime: its IO binding hands the outputs of one run to the next, and none of them is copied."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.session.backend import OpenedModels, PhaseModel
from lwmport.runtime.session.layout import MASK, POSITIONS
from lwmport.runtime.session.room import Held, Rooms
from lwmport.types import DECODE, Array


class OnnxRuntimeBackend(OpenedModels):
    """Holds ONNX Runtime's own values.

    Where the model takes caches with room behind their tokens, a run writes the new tokens there
    (`lwmport.runtime.session.room`). Elsewhere it writes its states into new memory, which the runtime takes from what
    earlier runs gave back. Copies share what is held.
    """

    def __init__(self, models: Mapping[str, PhaseModel]) -> None:
        super().__init__(models)
        self._value = onnxruntime.OrtValue.ortvalue_from_numpy
        self._rooms = {
            phase: Rooms(model.runner.session, model.signature, self._value) for phase, model in models.items()
        }

    def hold(self, arrays: Mapping[str, Array]) -> Held:
        """Return the states by input, as values over the memory of the arrays."""
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        values = {name: self._value(array) for name, array in contiguous.items()}
        return Held(values=values, tokens=self._rooms[DECODE].tokens(values))

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], Held]:
        """Return (results by name, states).

        Raises:
            RunnerError: ONNX Runtime failed.
        """
        model, rooms = self._models[phase], self._rooms[phase]
        total, new = inputs[MASK].shape[1], inputs[POSITIONS].shape[1]
        try:
            if held is not None and rooms.takes(inputs[MASK], new):
                room = rooms.of(held, len(inputs[MASK]), total)
                results, states = self._run(model, inputs, room.values, room.values)
                room.written = total
                after = Held(values=room.values, tokens=total, room=room)
            else:
                results, states = self._run(model, inputs, rooms.exact(held) if held else {}, {})
                after = Held(values=states, tokens=rooms.tokens(states))
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise RunnerError(f"ONNX Runtime failed on the inputs: {one_line(error)}") from error
        return {name: value.numpy() for name, value in results.items()}, after

    def copy(self, held: Held) -> Held:
        """Return the same values."""
        if held.room is not None:
            held.room.shared = True
        return held

    def cut(self, held: Held, tokens: int) -> Held:
        """Return the states of the first tokens."""
        return self._rooms[DECODE].cut(held, tokens)

    @staticmethod
    def _run(
        model: PhaseModel, inputs: Mapping[str, Array], fed: Mapping[str, Any], taken: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (results by name, states by input); those that are ``taken`` are written into these values."""
        session, names = model.runner.session, (*model.results, *model.kept)
        binding = session.io_binding()  # a new one each time: a run would write into the outputs of the last one
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        for name in model.fed:
            binding.bind_ortvalue_input(name, fed[name])
        for name in names:
            if taken and name in model.kept:
                binding.bind_ortvalue_output(name, taken[model.kept[name]])
            else:
                binding.bind_output(name, "cpu")
        session.run_with_iobinding(binding)
        return model.divide(dict(zip(names, binding.get_outputs(), strict=True)))
