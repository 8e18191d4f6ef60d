"""OpenVINO on the CPU: ONNX, TFLite, or its own IR."""

import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from lwmport import extras
from lwmport.errors import RunnerError, UsageError, one_line
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.inputs import spec_of
from lwmport.runtime.runners.openvino_states import keep_states
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, State, TensorSpec

PRECISIONS: Final = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""Our precision -> OpenVINO's hint. Without one it computes in bfloat16 wherever the processor can. int8 is for what is
multiplied with weights of integers."""

TELEMETRY: Final = "openvino_telemetry"
UNKNOWN: Final = "No conversion rule found for operations"
SCAN: Final = "ONNX node '<Node(Scan)"
LONGEST: Final = 400
"""Characters of OpenVINO's own words that an error quotes."""


FLOAT_PRODUCTS: Final = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
"""Setting by which products with weights of integers are computed as the model says.

Left alone, OpenVINO rounds what is multiplied to 8 bits, in groups of 32.
"""

ROUNDED_PRODUCTS: Final = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 32}
"""The same as OpenVINO has it by default, for int8."""


class OpenVinoRunner(BaseRunner):
    """Runs a model compiled in this process for this machine's processor.

    Raises:
        RunnerError: the file is not whole, or OpenVINO refuses it.
        MissingExtraError: OpenVINO is not installed.
    """

    name = "OpenVINO"

    def __init__(self, path: Path, threads: int, precision: str = "float32", *, later: bool = False) -> None:
        openvino = load()
        if precision not in PRECISIONS:
            raise UsageError(f"expected a precision out of {', '.join(PRECISIONS)} for OpenVINO, found {precision}")
        hint = dict.fromkeys(("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION"), PRECISIONS[precision])
        products = ROUNDED_PRODUCTS if precision == "int8" else FLOAT_PRODUCTS
        self._path, self._settings = path, {"INFERENCE_NUM_THREADS": threads, **hint, **products}
        self.tensor: Any = openvino.Tensor
        try:
            self._core = openvino.Core()
            self._read = self._core.read_model(str(path))
            # Compiled, a port has the names of what was folded into it too: a cast behind an input in float16.
            self.inputs, self.outputs = (tuple(map(_spec, ports)) for ports in (self._read.inputs, self._read.outputs))
        except Exception as error:  # OpenVINO raises RuntimeError, ValueError and types of its own
            raise refusal(path, error) from error
        if not later:
            self._compiled  # noqa: B018 - what OpenVINO refuses is refused when it is opened

    @cached_property
    def _compiled(self) -> Any:
        try:
            return self._core.compile_model(self._read, "CPU", self._settings)
        except Exception as error:  # as above
            raise refusal(self._path, error) from error

    def keep_states(self, states: Iterable[State]) -> None:
        """Make variables of states, before the first run: a run then takes and gives the rest.

        Raises:
            RunnerError: OpenVINO refuses the model.
        """
        try:
            keep_states(self._read, states)
        except Exception as error:  # as above
            raise refusal(self._path, error) from error
        self._compiled  # noqa: B018 - as above

    def request(self) -> Any:
        """Return what holds variables and runs the model: an ``openvino.InferRequest``."""
        return self._compiled.create_infer_request()

    def run_request(self, request: Any, inputs: Mapping[str, Array], names: Iterable[str]) -> dict[str, Array]:
        """Return outputs by name, copied: the next run writes into the memory of a request.

        Raises:
            RunnerError: OpenVINO failed.
        """
        try:
            request.infer(dict(inputs), share_inputs=True, share_outputs=True)
            return {name: np.array(request.get_tensor(name).data) for name in names}
        except Exception as error:  # as above
            raise RunnerError(f"OpenVINO failed on the inputs: {one_line(error)}") from error

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.run_request(self._only_request, inputs, [spec.name for spec in self.outputs])

    @cached_property
    def _only_request(self) -> Any:
        return self.request()

    def _release(self) -> None:
        self.__dict__.pop("_only_request", None)
        self.__dict__.pop("_compiled", None)
        del self._read


def open_model(path: Path, context: RunnerContext) -> OpenVinoRunner:
    """Return an ONNX file, a TFLite file or an IR, ready to run."""
    return OpenVinoRunner(path, context.threads, context.precision, later=context.session)


def write_ir(path: Path, target: Path, names: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """Write a model as OpenVINO's IR, its weights as they are, and return the two files: ``.xml`` and ``.bin``.

    ``names`` maps inputs and outputs to the names that they are to have instead: OpenVINO takes those of a TFLite
    file's tensors, and callers know those of its signature.

    Raises:
        RunnerError: OpenVINO cannot read the model.
        MissingExtraError: OpenVINO is not installed.
    """
    openvino = load()
    try:
        model = openvino.Core().read_model(str(path))
        for port in (*model.inputs, *model.outputs):
            if names and _name(port) in names:
                port.get_tensor().set_names({names[_name(port)]})
        openvino.save_model(model, str(target), compress_to_fp16=False)
    except Exception as error:  # as above
        raise refusal(path, error) from error
    return target, target.with_suffix(".bin")


def load() -> ModuleType:
    """Return OpenVINO, imported without its telemetry, which sends an event over the network with each import.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    missing = object()
    before = sys.modules.get(TELEMETRY, missing)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # the import fails, and OpenVINO takes its silent stub
    try:
        return extras.require("openvino")
    finally:
        if before is missing:
            del sys.modules[TELEMETRY]
        else:
            sys.modules[TELEMETRY] = before  # type: ignore[assignment]


def refusal(path: Path, error: Exception) -> RunnerError:
    """Return what OpenVINO says, and what to do where it is an operator that it lacks."""
    said = one_line(error)
    _, found, rest = said.partition(UNKNOWN)
    if found:
        operators = rest.partition(" --")[0].strip(" :")
        return RunnerError(f"OpenVINO has no {operators}, found in {path}; convert with --dialect openvino")
    advice = "; convert with --dialect openvino, which has no Scan" if SCAN in said else ""
    return RunnerError(f"OpenVINO refused {path}: {said[:LONGEST]}{advice}")


def _name(port: Any) -> str:
    return str(port.get_any_name())


def _spec(port: Any) -> TensorSpec:
    return spec_of(_name(port), _dims(port), np.dtype(port.get_element_type().to_dtype()).name)


def _dims(port: Any) -> list[int | None]:
    return [None if dim.is_dynamic else int(dim.get_length()) for dim in port.get_partial_shape()]
