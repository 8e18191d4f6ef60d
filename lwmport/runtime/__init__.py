"""Runners: every runtime behind one protocol (`lwmport.types.Runner`)."""

from typing import Final

from lwmport.registry import Registry

RUNNERS: Final = Registry(
    "kind of model file",
    {
        ".hf": "lwmport.runtime.runners.transformers:TransformersRunner",
        ".onnx": "lwmport.runtime.runners.onnxruntime:OnnxRuntimeRunner",
        ".pb": "lwmport.runtime.runners.tensorflow:TensorFlowRunner",
        ".saved_model": "lwmport.runtime.runners.tensorflow:TensorFlowRunner",
        ".tflite": "lwmport.runtime.runners.litert:LiteRTRunner",
    },
)
"""Suffix of an artifact -> ``Runner(path, threads)``."""
