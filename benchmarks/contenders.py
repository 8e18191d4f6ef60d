"""Who takes part, and what runs each: everyone behind the project's runner protocol, inputs and outputs by name."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conversions import components, model_file, read_weights

from lwmport.runtime.base_runner import BaseRunner
from lwmport.types import Array, Runner


@dataclass(frozen=True, kw_only=True)
class Case:
    """One half of one model to run: where its weights and its ONNX file are, and on how many threads."""

    half: str
    config: str
    checkpoint: str
    out: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What a row of the table stands for, the module that it needs, its kind of file, and whether it runs unasked."""

    title: str
    opened: Callable[[Case], Runner]
    needs: str = "onnxruntime"
    suffix: str = ".onnx"
    usual: bool = True

    def absence(self) -> str:
        """Return why it cannot take part, or nothing."""
        if importlib.util.find_spec(self.needs):
            return ""
        return f"{self.needs} is not installed; run: pip install 'lwmport[bench]'"


class TorchRunner(BaseRunner):
    """The twin in PyTorch eager."""

    name = "PyTorch"

    def __init__(self, case: Case) -> None:
        import torch
        import torch_twin

        from lwmport.models.vqgan.config import VQGANConfig

        torch.set_num_threads(case.threads)
        component = components(case.config, (case.half,))[case.half]
        weights = read_weights(component, case.checkpoint)
        self.inputs, self.outputs = component.signature.inputs, component.signature.outputs
        self._twin: Any = torch_twin.build(case.half, VQGANConfig.from_json(component.config), weights)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import torch

        with torch.inference_mode():
            found = self._twin(*(torch.tensor(array) for array in inputs.values()))
        found = found if isinstance(found, tuple) else (found,)
        return {spec.name: tensor.numpy() for spec, tensor in zip(self.outputs, found, strict=True)}


def _onnxruntime(case: Case) -> Runner:
    from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner

    return OnnxRuntimeRunner(model_file(case.out, case.half), case.threads)


def _litert(case: Case) -> Runner:
    from lwmport.runtime.runners.litert import LiteRTRunner

    return LiteRTRunner(model_file(case.out, case.half, ".tflite"), case.threads)


class OfficialRunner(BaseRunner):
    """The official route's TFLite file, whose tensors have names of its converter's own."""

    name = "LiteRT"

    def __init__(self, case: Case) -> None:
        from ai_edge_litert.interpreter import Interpreter

        component = components(case.config, (case.half,))[case.half]
        self.inputs, self.outputs = component.signature.inputs, component.signature.outputs
        path = str(model_file(case.out, case.half, ".tflite"))
        self._interpreter: Any = Interpreter(path, num_threads=case.threads)
        self._interpreter.allocate_tensors()

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name; jax2tf returns a dictionary's values in the order of its keys."""
        names = sorted(spec.name for spec in self.outputs)
        (given,) = inputs.values()
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], given)
        self._interpreter.invoke()
        details = self._interpreter.get_output_details()
        return {
            name: self._interpreter.get_tensor(detail["index"]) for name, detail in zip(names, details, strict=True)
        }


def _tensorflow(case: Case) -> Runner:
    from lwmport.runtime.runners.tensorflow import TensorFlowRunner

    return TensorFlowRunner(model_file(case.out, case.half, ".saved_model"), case.threads)


def _jax(case: Case) -> Runner:
    from lwmport.checkpoints.opening import open_checkpoint
    from lwmport.runtime.runners.jax import JaxRunner

    return JaxRunner(components(case.config, (case.half,))[case.half], open_checkpoint(case.checkpoint))


BASELINE: Final = "lwmport"
REFERENCE: Final = "jax"

CONTENDERS: Final[Mapping[str, Contender]] = {
    BASELINE: Contender(title="lwmport convert, ONNX Runtime", opened=_onnxruntime),
    "lwmport-tflite": Contender(
        title="lwmport convert --to tflite, LiteRT", opened=_litert, needs="ai_edge_litert", suffix=".tflite"
    ),
    "lwmport-saved-model": Contender(
        title="lwmport convert --to saved_model, TensorFlow",
        opened=_tensorflow,
        needs="tensorflow",
        suffix=".saved_model",
    ),
    "official-tflite": Contender(
        title="jax2tf, TFLiteConverter, LiteRT",
        opened=OfficialRunner,
        needs="tensorflow",
        suffix=".tflite",
        usual=False,
    ),
    "jax2onnx": Contender(title="jax2onnx, ONNX Runtime", opened=_onnxruntime, needs="jax2onnx"),
    "jax2onnx-native": Contender(
        title="jax2onnx with flax's GroupNorm, ONNX Runtime", opened=_onnxruntime, needs="jax2onnx"
    ),
    "torch-export": Contender(title="twin, torch.onnx.export, ONNX Runtime", opened=_onnxruntime, needs="onnxscript"),
    "torch": Contender(title="twin, PyTorch eager", opened=TorchRunner, needs="torch"),
    REFERENCE: Contender(title="JAX jit (the reference)", opened=_jax, needs="jax"),
}
