"""Who takes part in the race of a LLaMA, and what converting and running need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from interpreters import OWN, environment
from llama_runners import Case, LlamaCppRunner, OnnxRunner, SessionRunner


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What a row of the table stands for, and the modules that converting and running need.

    ``apart``: an interpreter of its own runs the model as well as it converts. ONNX files are all run by this one's.
    """

    title: str
    converts: tuple[str, ...]
    opened: Callable[[Case], Any] = OnnxRunner
    runs: str = "onnxruntime"
    apart: bool = False
    install: str = "pip install 'lwmport[bench]'"

    def runner(self, interpreter: str) -> str:
        """Return the interpreter that runs the model, if this one converts it."""
        return interpreter if self.apart else OWN

    def absence(self, interpreter: str = OWN) -> str:
        """Return why it cannot take part, or nothing."""
        try:
            missing = environment(interpreter, self.converts).missing
            missing += environment(self.runner(interpreter), (self.runs,)).missing
        except RuntimeError as error:
            return str(error)
        return f"{', '.join(missing)} not installed; run: {self.install}" if missing else ""


BASELINE: Final = "lwmport"

CONTENDERS: Final[Mapping[str, Contender]] = {
    BASELINE: Contender(title="lwmport convert, ONNX Runtime", converts=("onnx_ir",), opened=SessionRunner),
    "genai-builder": Contender(
        title="onnxruntime-genai's builder, ONNX Runtime",
        converts=("onnxruntime_genai", "transformers", "torch"),
    ),
    "optimum": Contender(
        title="optimum, ONNX Runtime",
        converts=("optimum", "transformers", "torch"),
        install="pip install optimum-onnx 'transformers<5', in an environment named with --python optimum=INTERPRETER",
    ),
    "torch-export": Contender(
        title="transformers, torch.onnx.export, ONNX Runtime",
        converts=("torch", "transformers", "onnxscript"),
    ),
    "llama-cpp": Contender(
        title="llama.cpp, GGUF of float32",
        converts=("gguf",),
        opened=LlamaCppRunner,
        runs="llama_cpp",
        apart=True,
        install="pip install gguf llama-cpp-python",
    ),
}
