"""llama.cpp's decode, run by an interpreter that lacks ``lwmport``: single tokens behind a prompt."""

import importlib
import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINDINGS = ("llama_cpp", "ik_llama_cpp")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What is run: a GGUF, threads, the tokens of the prompt and the new ones."""

    path: str
    threads: int
    tokens: int
    new: int

    def ids(self) -> NDArray[Any]:
        """Return the prompt, int64 [1, tokens]."""
        return np.random.default_rng(0).integers(3, 1000, (1, self.tokens))


class Peer:
    """An opened GGUF; ``run`` returns the seconds of the new tokens."""

    def __init__(self, prompt: Prompt) -> None:
        binding = importlib.import_module(next(name for name in BINDINGS if importlib.util.find_spec(name)))
        self._prompt = prompt
        self._model: Any = binding.Llama(
            model_path=prompt.path,
            n_ctx=prompt.tokens + prompt.new + 8,
            n_threads=prompt.threads,
            n_threads_batch=prompt.threads,
            verbose=False,
        )

    def run(self, _: Mapping[str, Any]) -> dict[str, float]:
        """Return seconds."""
        ids = self._prompt.ids()[0].tolist()
        self._model.reset()
        self._model.eval(ids)
        start = time.perf_counter()
        for _ in range(self._prompt.new):
            self._model.eval([ids[0]])
        return {"seconds": time.perf_counter() - start}
