"""What runs each file of a LLaMA: a prefill, and single tokens behind it.

Every runner takes ``{stage: tokens int64 [1, n]}`` and gives ``{"logits": float32 [1, n, vocabulary]}``. A decode feeds
its tokens one at a time, the cache fed back, each time behind the last prefill. This module is imported by interpreters
that lack ``lwmport``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from interpreters import OWN
from numpy.typing import NDArray

PREFILL: Final = "prefill"
DECODE: Final = "decode"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model to run: where it is, its cache's heads and their size, most tokens, threads, and the Python for it."""

    path: str
    heads: int
    size: int
    length: int
    threads: int
    interpreter: str = OWN


class SessionRunner:
    """This package's own session on the folder that it converted."""

    name = "lwmport.Session"

    def __init__(self, case: Case) -> None:
        import lwmport

        self._session: Any = lwmport.Session(Path(case.path).parent, threads=case.threads)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the logits of a stage."""
        ((stage, tokens),) = inputs.items()
        if stage == PREFILL:
            found: dict[str, NDArray[Any]] = self._session.prefill(tokens, keep=None)
            return found
        behind = self._session.fork()
        steps = [behind.step(token)["logits"] for token in np.split(tokens, tokens.shape[1], axis=1)]
        return {"logits": np.concatenate(steps, axis=1)}


class OnnxRunner:
    """A plain session of ONNX Runtime on the ONNX files of others: all have the ecosystem's names."""

    name = "ONNX Runtime"

    def __init__(self, case: Case) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.threads
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(case.path, options, providers=["CPUExecutionProvider"])
        inputs = self._session.get_inputs()
        self._numbered = any(item.name == "position_ids" for item in inputs)
        self._caches = [item.name for item in inputs if item.name.startswith("past_key_values.")]
        self._empty = np.zeros((1, case.heads, 0, case.size), np.float32)
        self._outputs = ["logits", *(name.replace("past_key_values", "present") for name in self._caches)]
        self._prefilled: tuple[int, list[NDArray[Any]]] = 0, []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the logits of a stage."""
        ((stage, tokens),) = inputs.items()
        if stage == PREFILL:
            logits, caches = self._step(tokens, 0, [self._empty] * len(self._caches))
            self._prefilled = tokens.shape[1], caches
            return {"logits": logits}
        past, caches = self._prefilled
        found = []
        for number in range(tokens.shape[1]):
            logits, caches = self._step(tokens[:, number : number + 1], past + number, caches)
            found.append(logits)
        return {"logits": np.concatenate(found, axis=1)}

    def _step(
        self, tokens: NDArray[Any], past: int, caches: list[NDArray[Any]]
    ) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        total = past + tokens.shape[1]
        given = {"input_ids": tokens, "attention_mask": np.ones((1, total), np.int64)}
        if self._numbered:
            given["position_ids"] = np.arange(past, total, dtype=np.int64)[None]
        given.update(zip(self._caches, caches, strict=True))
        logits, *caches = self._session.run(self._outputs, given)
        return logits, caches


class LlamaCppRunner:
    """llama.cpp through its Python binding, which keeps the cache itself: in float32 here, as all others do."""

    name = "llama.cpp"

    def __init__(self, case: Case) -> None:
        import llama_cpp

        self._model: Any = llama_cpp.Llama(
            model_path=case.path,
            n_ctx=case.length,
            n_batch=case.length,
            n_threads=case.threads,
            n_threads_batch=case.threads,
            type_k=llama_cpp.GGML_TYPE_F32,
            type_v=llama_cpp.GGML_TYPE_F32,
            logits_all=True,
            verbose=False,
        )
        self._past = 0

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the logits of a stage."""
        ((stage, tokens),) = inputs.items()
        if stage == PREFILL:
            self._model.reset()
            self._model.eval(tokens[0].tolist())
            self._past = self._model.n_tokens
            return {"logits": self._logits(0)}
        self._model.n_tokens = self._past
        for token in tokens[0].tolist():
            self._model.eval([token])
        return {"logits": self._logits(self._past)}

    def _logits(self, start: int) -> NDArray[Any]:
        return np.array(self._model.scores[start : self._model.n_tokens], np.float32)[None]
