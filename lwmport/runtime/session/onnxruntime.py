"""States in ONNX Runtime: its IO binding hands the outputs of one run to the next, and none of them is copied."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.session.backend import OpenedModels, PhaseModel
from lwmport.types import Array


class OnnxRuntimeBackend(OpenedModels):
    """Holds ONNX Runtime's own values. A run writes its states into new memory, so that copies share the old.

    The runtime takes that memory from what earlier runs gave back: no page is touched for the first time again.
    """

    def hold(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Return the states by input, as values over the memory of the arrays."""
        values = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in values.items()}

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return (results by name, states by input).

        Raises:
            RunnerError: ONNX Runtime failed.
        """
        model = self._models[phase]
        try:
            results, states = model.divide(self._run(model, inputs, held))
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise RunnerError(f"ONNX Runtime failed on the inputs: {one_line(error)}") from error
        return {name: value.numpy() for name, value in results.items()}, states

    def _run(self, model: PhaseModel, inputs: Mapping[str, Array], held: Any) -> dict[str, Any]:
        session, names = model.runner.session, (*model.results, *model.kept)
        binding = session.io_binding()  # a new one each time: a run would write into the outputs of the last one
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        for name in model.fed:
            binding.bind_ortvalue_input(name, held[name])
        for name in names:
            binding.bind_output(name, "cpu")
        session.run_with_iobinding(binding)
        return dict(zip(names, binding.get_outputs(), strict=True))

    def copy(self, held: Any) -> Any:
        """Return the same values."""
        return held
