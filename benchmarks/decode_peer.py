"""llama.cpp's decode, run by an interpreter that lacks ``lwmport``: single tokens behind a prompt.

The binding is ik-llama-cpp-python 0.1.5, which comes compiled for ik_llama.cpp, a faster fork. What times single tokens
is none of its public names.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        from ik_llama_cpp import llama

        self._prompt, self._own = prompt, llama
        room = prompt.tokens + prompt.new + 8
        self._model: Any = llama.IkLlama(prompt.path, n_ctx=room, n_threads=prompt.threads, verbose=False)

    def run(self, _: Mapping[str, Any]) -> dict[str, float]:
        """Return seconds."""
        ids = self._prompt.ids()[0].tolist()
        self._model.generate(ids, max_tokens=0)
        start = time.perf_counter()
        for place in range(self._prompt.new):
            batch = self._own.make_batch_single(ids[0], len(ids) + place)
            if self._model._context.decode(batch):  # noqa: SLF001 - a token, without choosing the next one
                raise RuntimeError("llama_decode failed")
        return {"seconds": time.perf_counter() - start}
