"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from lwmport import memory
from lwmport.errors import RunnerError, one_line
from lwmport.runtime.inputs import check_inputs, spec_of
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.types import Array

DTYPES: Final = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
}
"""ONNX Runtime's names of dtypes -> numpy's."""

NPU: Final = "npu:NPU"
"""What ONNX Runtime says of an operator of CANN's own (domain ``npu``) that no function in the model defines."""


class OnnxRuntimeRunner:
    """Runs an ONNX file; its weights are mapped from the external data by the runtime.

    Attributes:
        inputs: the model's.
        session: ONNX Runtime's own, for whoever binds inputs and outputs itself.
        streamed: whether memory is scarce for the model, so that no more than a few weights are in it at a time. Such a
            run is not to be timed.
    """

    name = "ONNX Runtime"

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.streamed = memory.is_scarce(held_bytes(path))
            if self.streamed:
                self.name = f"{self.name}, a weight at a time"
                _spare_memory(options)
            self.session, notes = _opened(path, options)
        except RunnerError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise RunnerError(f"ONNX Runtime refused {path}: {one_line(error)}") from error
        self.name = ", ".join([self.name, *notes])
        self.inputs = tuple(
            spec_of(item.name, item.shape, DTYPES.get(item.type, item.type)) for item in self.session.get_inputs()
        )
        self._outputs = [item.name for item in self.session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name.

        Raises:
            RunnerError: names, shapes or dtypes do not fit the model, or the model fails on them.
        """
        check_inputs(self.inputs, inputs)
        try:
            found = self.session.run(self._outputs, dict(inputs))
        except Exception as error:  # as above
            raise RunnerError(f"ONNX Runtime failed on the inputs: {one_line(error)}") from error
        return {name: np.asarray(value) for name, value in zip(self._outputs, found, strict=True)}


def _opened(path: Path, options: onnxruntime.SessionOptions) -> tuple[onnxruntime.InferenceSession, list[str]]:
    """Return a session and what is to be said of it: operators of CANN's own are run by their formulas."""
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), []
    except Exception as error:
        if NPU not in str(error):
            raise
    from lwmport.runtime.runners import npu_formulas

    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    model = npu_formulas.spelled_out(path)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]), [npu_formulas.NOTE]


def _spare_memory(options: onnxruntime.SessionOptions) -> None:
    """Let a session leave weights in their files, where it would keep copies: folded casts to float32, packed ones.

    The order is the one in which a cast stands right in front of its only reader; in the default one all casts of
    weights come first.
    """
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
