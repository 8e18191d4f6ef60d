"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from lwmport import memory
from lwmport.errors import RunnerError, one_line
from lwmport.onnx_dtypes import KINDS
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.error_lines import watched
from lwmport.runtime.inputs import spec_of
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.runners import onnxruntime_values
from lwmport.runtime.runners.product_levels import FLOAT32, ROUNDED, SETTING, with_products
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, TensorSpec

NPU: Final = "npu:NPU"
"""What ONNX Runtime says of an operator of CANN's own (domain ``npu``) that no function in the model defines."""

SIDE_BY_SIDE: Final = "session.prepack.enable_parallel"
"""Setting by which all threads pack weights for their kernels, not one: the same bytes, sooner, and more at a time."""


class OnnxRuntimeRunner(BaseRunner):
    """Runs an ONNX file; its weights are mapped from the external data by the runtime.

    It is ``streamed`` where memory is scarce for the model: no more than a few weights are then in memory at a time.
    ``session`` is ONNX Runtime's own, for whoever binds inputs and outputs itself. ``changed`` is the model to run in
    place of the file, whose weights lie where the file's do. ``level`` is that of what becomes a product of integers.
    ``side_by_side`` packs weights with all threads.
    """

    name = "ONNX Runtime"

    def __init__(
        self,
        path: Path,
        threads: int,
        changed: bytes | None = None,
        level: int = FLOAT32,
        *,
        side_by_side: bool = False,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry(SETTING, str(level))
        if side_by_side:
            options.add_session_config_entry(SIDE_BY_SIDE, "1")
        try:
            self.streamed = memory.is_scarce(held_bytes(path))
            if self.streamed:
                self.name = f"{self.name}, a weight at a time"
                _spare_memory(options)
            self.session, notes = _opened(path, options) if changed is None else (_beside(path, changed, options), [])
        except RunnerError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise RunnerError(f"ONNX Runtime refused {path}: {one_line(error)}") from error
        self.name = ", ".join([self.name, *notes])
        self.inputs, self.outputs = specs_of(self.session)
        self._dtypes = {spec.dtype for spec in (*self.inputs, *self.outputs)}

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            with watched("ONNX Runtime"):
                if all(map(onnxruntime_values.is_plain, self._dtypes)):
                    found = self.session.run([spec.name for spec in self.outputs], dict(inputs))
                else:
                    found = onnxruntime_values.run(self.session, inputs)
        except RunnerError:
            raise
        except Exception as error:  # as above
            raise RunnerError(f"ONNX Runtime failed on the inputs: {one_line(error)}") from error
        return {spec.name: np.asarray(value) for spec, value in zip(self.outputs, found, strict=True)}

    def _release(self) -> None:
        del self.session


def open_model(path: Path, context: RunnerContext) -> OnnxRuntimeRunner:
    """Return an ONNX file, ready to run; for int8 what is multiplied with weights of integers is rounded to 8 bits."""
    if context.precision == "int8" and path.suffix == ".onnx":
        changed = with_products(path, ROUNDED)
        return OnnxRuntimeRunner(path, context.threads, changed, ROUNDED, side_by_side=context.session)
    return OnnxRuntimeRunner(path, context.threads, side_by_side=context.session)


def specs_of(session: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and the outputs of a session."""
    inputs, outputs = (
        tuple(spec_of(item.name, item.shape, KINDS.get(item.type, item.type)) for item in items)
        for items in (session.get_inputs(), session.get_outputs())
    )
    return inputs, outputs


def _opened(path: Path, options: onnxruntime.SessionOptions) -> tuple[onnxruntime.InferenceSession, list[str]]:
    """Return a session and what is to be said of it: operators of CANN's own are run by their formulas."""
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), []
    except Exception as error:
        if NPU not in str(error):
            raise
    from lwmport.runtime.runners import npu_formulas

    return _beside(path, npu_formulas.spelled_out(path), options), [npu_formulas.NOTE]


def _beside(path: Path, model: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Return a session of a model in memory whose weights lie beside a file."""
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _spare_memory(options: onnxruntime.SessionOptions) -> None:
    """Let a session leave weights in their files, where it would keep copies: folded casts to float32, packed ones.

    The order is the one in which a cast stands right in front of its only reader; in the default one all casts of
    weights come first.
    """
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
