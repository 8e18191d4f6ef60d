"""A GGUF file, read back: its tensors, taken out of their blocks, in the program that the reference runs.

What is compared is what the file holds: names, layouts, blocks, metadata. How llama.cpp rounds while it multiplies is
not in it.
"""

from collections.abc import Mapping
from pathlib import Path

from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError, ConfigError, RunnerError
from lwmport.models.families import USUAL
from lwmport.models.options import Options
from lwmport.models.specs import looks_like
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.runners.jax import reference
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array


class GgufRunner(BaseRunner):
    """Runs the component that a file holds, in float32.

    Raises:
        RunnerError: the file is damaged, or holds no model of ours.
        MissingExtraError: the package gguf is not installed.
    """

    name = "JAX, weights read back"

    def __init__(self, path: Path) -> None:
        try:
            whole = looks_like(open_checkpoint(path).specs)
            family, weights = open_model(whole, str(path), USUAL, Options(), 0)
            (component,) = family.components
            self._inner = reference(component, component_weights(family, component, weights))
        except (CheckpointError, ConfigError) as error:
            raise RunnerError(str(error)) from error
        self.inputs, self.outputs = component.signature.inputs, component.signature.outputs
        self.streamed = self._inner.streamed

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._inner.run(inputs)

    def _release(self) -> None:
        self._inner.close()


def open_gguf(path: Path, context: RunnerContext) -> GgufRunner:
    """Return a GGUF file, ready to run on the CPU."""
    del context
    return GgufRunner(path)
