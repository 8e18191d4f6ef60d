"""Who takes part in the race of quantised LLaMAs."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from llama_contenders import Contender
from llama_runners import LlamaCppRunner, OnnxRunner, SessionRunner
from quantised_runners import OpenVinoRunner, TorchRunner

REFERENCE: Final = "float32"
"""What divergences are from."""

BASELINE: Final = "lwmport-w4a8"
"""What ratios of seconds are of."""

_OURS = Contender(title="", converts=("onnx_ir",), opened=SessionRunner)
_OPENVINO = Contender(title="", converts=("onnx_ir", "openvino"), opened=OpenVinoRunner, runs="openvino")
_LLAMA_CPP = Contender(
    title="",
    converts=("gguf", "llama_cpp"),
    opened=LlamaCppRunner,
    runs="llama_cpp",
    install="pip install gguf llama-cpp-python",
)
_GENAI = Contender(
    title="",
    converts=("onnxruntime_genai", "transformers", "torch"),
    opened=OnnxRunner,
    install="pip install onnxruntime-genai transformers torch",
)
_NNCF = Contender(
    title="", converts=("nncf", "openvino"), opened=OpenVinoRunner, runs="openvino", install="pip install nncf"
)
_TORCH = Contender(
    title="",
    converts=("torch", "transformers"),
    opened=TorchRunner,
    runs="transformers",
    install="pip install torch transformers",
)

CONTENDERS: Final = {
    REFERENCE: replace(_OURS, title="lwmport float32, ONNX Runtime"),
    BASELINE: replace(_OURS, title="lwmport w4a8, ONNX Runtime"),
    "lwmport-tables-w4a8": replace(_OURS, title="lwmport w4a8, tables of 8 bits, ONNX Runtime"),
    "lwmport-gptq-w4a8": replace(_OURS, title="lwmport w4a8 by gptq, tables of 8 bits, ONNX Runtime"),
    "lwmport-w4a16": replace(_OURS, title="lwmport w4a16, ONNX Runtime"),
    "lwmport-openvino-w4a16": replace(_OPENVINO, title="lwmport w4a16, OpenVINO"),
    "llama-cpp-q4_0": replace(_LLAMA_CPP, title="llama.cpp Q4_0"),
    "llama-cpp-q4_k_m": replace(_LLAMA_CPP, title="llama.cpp Q4_K_M"),
    "genai-int4": replace(_GENAI, title="onnxruntime-genai int4, ONNX Runtime"),
    "nncf-int4": replace(_NNCF, title="nncf int4, OpenVINO"),
    "lwmport-w8a8": replace(_OURS, title="lwmport w8a8, ONNX Runtime"),
    "lwmport-openvino-w8a16": replace(_OPENVINO, title="lwmport w8a16, OpenVINO"),
    "llama-cpp-q8_0": replace(_LLAMA_CPP, title="llama.cpp Q8_0"),
    "genai-int8": replace(_GENAI, title="onnxruntime-genai int8, ONNX Runtime"),
    "nncf-int8": replace(_NNCF, title="nncf int8, OpenVINO"),
    "lwmport-openvino-bf16": replace(_OPENVINO, title="lwmport float32, OpenVINO in bfloat16"),
    "torch-bf16": replace(_TORCH, title="PyTorch bfloat16"),
}
"""Name -> who it is. GGUF files of ours hold the same bytes as llama.cpp's own, so they have no row of their own."""


def model_file(out: Path, name: str, folder: str) -> Path:
    """Return what a contender's runner opens: a file that was made, or the folder of float weights itself."""
    if name == "torch-bf16":
        return Path(folder)
    if name.startswith(("genai", "nncf", "llama-cpp")):
        return out / {"genai": "model.onnx", "nncf": "model.xml", "llama": "model.gguf"}[name.partition("-")[0]]
    return out / "made" / "llama.onnx"


def model_bytes(path: Path) -> int:
    """Return the bytes of a model: its file and what lies beside it under the same name."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.glob("*.safetensors"))
    stem = path.name.removesuffix(".xml")
    return sum(file.stat().st_size for file in path.parent.iterdir() if file.name.startswith(stem))
