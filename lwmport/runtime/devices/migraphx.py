"""MIGraphX by its own Python module: a compiled ``.mxr``, or an ONNX file that it compiles first."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.devices.tensors import from_port, promised_by, sizes_of
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Signature
from lwmport.wording import few


class MigraphxRunner(BaseRunner):
    """Runs one model on the card. An ``.mxr`` keeps the names of its inputs, and only the order of its outputs.

    Raises:
        RunnerError: MIGraphX is not installed, it refuses the file, or the file has other inputs than the signature.
    """

    name = "MIGraphX"

    def __init__(self, path: Path, signature: Signature) -> None:
        if not path.is_file():
            raise RunnerError(f"expected a model at {path}, found none")
        self._library = _import()
        self.inputs, self.outputs = signature.inputs, signature.outputs
        try:
            self._program: Any = _program(self._library, path)
            found = sorted(self._program.get_parameter_names())
        except Exception as error:  # the library raises RuntimeError and types of its own
            raise RunnerError(f"MIGraphX refused {path}: {one_line(error)}") from error
        wanted = sorted(spec.name for spec in self.inputs)
        if found != wanted:
            raise RunnerError(f"expected the inputs {few(wanted)} in {path}, found {few(found) or 'none'}")

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        sizes = sizes_of(self.inputs, dict(inputs))
        # An argument borrows the array's memory: the arrays have to live until the run is over.
        kept = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        try:
            results = self._program.run({name: self._library.argument(array) for name, array in kept.items()})
            found = [np.array(result) for result in results]
        except Exception as error:  # as above
            raise RunnerError(f"MIGraphX failed on the inputs: {one_line(error)}") from error
        if len(found) != len(self.outputs):
            raise RunnerError(f"expected {len(self.outputs)} outputs from MIGraphX, found {len(found)}")
        return {spec.name: from_port(array, spec, sizes) for spec, array in zip(self.outputs, found, strict=True)}

    def _release(self) -> None:
        del self._program


def open_model(path: Path, context: RunnerContext) -> MigraphxRunner:
    """Return an ``.mxr`` or an ONNX file, ready to run on the card."""
    return MigraphxRunner(path, promised_by(context.signature, path))


def _program(library: Any, path: Path) -> Any:
    if path.suffix == ".mxr":
        return library.load(str(path))
    program = library.parse_onnx(str(path))
    program.compile(library.get_target("gpu"), offload_copy=True)
    return program


def _import() -> Any:
    try:
        return importlib.import_module("migraphx")
    except ImportError as error:
        raise RunnerError(
            f"MIGraphX does not load: {one_line(error)}; put the lib folder of ROCm or DTK on PYTHONPATH"
        ) from error
