"""Compass's own executor of its IR, float or quantised, where the vendor's optimizer is installed."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.devices.tensors import promised_by, sizes_of
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Signature, TensorSpec, dtype_of
from lwmport.validators.promise import broken


class CompassRunner(BaseRunner):
    """Runs ``NAME.txt`` and ``NAME.bin`` as Compass's parser or optimizer wrote them, on the CPU.

    Inputs and outputs of the IR have names of their own; their order is that of the configuration, which
    ``lwmport compile`` takes from the signature. Outputs of a quantised IR come as floats again.

    Raises:
        RunnerError: the optimizer is not installed, or it refuses the IR.
    """

    name = "Compass"

    def __init__(self, path: Path, signature: Signature) -> None:
        weights = path.with_suffix(".bin")
        for file in (path, weights):
            if not file.is_file():
                raise RunnerError(f"expected Compass's IR at {path} and {weights.name}, found no {file.name}")
        try:
            module = importlib.import_module("AIPUBuilder.Optimizer.tools.optimizer_forward")
        except ImportError as error:
            raise RunnerError(
                f"expected Arm China's Compass optimizer (AIPUBuilder.Optimizer), found: {one_line(error)}; it is "
                "Apache-2.0, on GitHub as Arm-China/Compass_Optimizer"
            ) from error
        self.inputs, self.outputs = signature.inputs, signature.outputs
        try:
            self._executor: Any = module.OptForward(str(path), str(weights))
        except Exception as error:  # the library raises unrelated types
            raise RunnerError(f"Compass refused {path}: {one_line(error)}") from error

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        sizes = sizes_of(self.inputs, dict(inputs))
        feeds = [_narrow(inputs[spec.name]) for spec in self.inputs]
        try:
            found = list(self._executor.forward(feeds, transfer_to_float=True))
        except Exception as error:  # as above
            raise RunnerError(f"Compass failed on the inputs: {one_line(error)}") from error
        if len(found) != len(self.outputs):
            raise RunnerError(f"expected {len(self.outputs)} outputs from Compass, found {len(found)}")
        return {
            spec.name: _promised(np.asarray(array), spec, sizes)
            for spec, array in zip(self.outputs, found, strict=True)
        }

    def _release(self) -> None:
        del self._executor


def open_model(path: Path, context: RunnerContext) -> CompassRunner:
    """Return an IR, ready to run in Compass's own executor."""
    return CompassRunner(path, promised_by(context.signature, path))


def _narrow(array: Array) -> Array:
    """Return integers of 64 bits in 32, which the IR has."""
    return array.astype(np.int32) if array.dtype == np.int64 else np.ascontiguousarray(array)


def _promised(array: Array, spec: TensorSpec, sizes: Mapping[str, int]) -> Array:
    """Return an output in the dtype of the signature; whole numbers may come as floats, but must be whole."""
    reason = broken(spec, array, sizes, dtype=False)
    if reason:
        raise RunnerError(reason)
    found = np.array(array).astype(dtype_of(spec.dtype))
    if np.issubdtype(found.dtype, np.integer) and not np.array_equal(found, array):
        raise RunnerError(f"expected whole numbers of {spec.name}, found others: the order of the outputs may differ")
    return found
