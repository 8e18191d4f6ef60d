"""What runs a quantised LLaMA beside `llama_runners`: OpenVINO with the cache as its own state, and PyTorch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from llama_runners import PREFILL, Case
from numpy.typing import NDArray


class Sparing:
    """Another runner, of which the last token's logits alone are given back: nothing large goes through the pipe."""

    def __init__(self, opened: Callable[[Case], Any], case: Case) -> None:
        self._runner = opened(case)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the logits of the last token of a stage, all of which were computed."""
        return {"logits": self._runner.run(inputs)["logits"][:, -1:].copy()}


class OpenVinoRunner:
    """OpenVINO as it comes, with the cache inside: it rounds what is multiplied as it likes."""

    name = "OpenVINO"

    def __init__(self, case: Case) -> None:
        import openvino

        from lwmport.runtime.runners.openvino_states import ORDER, keep_states
        from lwmport.types import State, Update

        model = openvino.Core().read_model(case.path)
        caches = [name for port in model.inputs for name in port.names if name.startswith("past_key_values.")]
        states = [(name, name.replace("past_key_values", "present")) for name in caches]
        keep_states(model, [State(input=name, output=own, axis=2, update=Update.GROWS) for name, own in states])
        self._order = ORDER
        settings = {"INFERENCE_NUM_THREADS": case.threads, "PERFORMANCE_HINT": "LATENCY"}
        self._request: Any = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        self._dtypes = {port.get_any_name(): port.get_element_type().to_dtype() for port in model.inputs}
        self._past = 0

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the logits of a stage."""
        ((stage, tokens),) = inputs.items()
        if stage == PREFILL:
            self._request.reset_state()
            self._past = 0
            return {"logits": self._step(tokens)}
        steps = [self._step(token) for token in np.split(tokens, tokens.shape[1], axis=1)]
        return {"logits": np.concatenate(steps, axis=1)}

    def _step(self, tokens: NDArray[Any]) -> NDArray[Any]:
        total = self._past + tokens.shape[1]
        given = {
            "input_ids": tokens,
            "attention_mask": np.ones((1, total)),
            "position_ids": np.arange(self._past, total)[None],
            self._order: np.zeros(1),
        }
        self._request.infer({name: given[name].astype(dtype) for name, dtype in self._dtypes.items() if name in given})
        self._past = total
        return np.array(self._request.get_tensor("logits").data)


class TorchRunner:
    """transformers' LLaMA in bfloat16, read from the folder of float weights."""

    name = "PyTorch"

    def __init__(self, case: Case) -> None:
        import torch
        from transformers import LlamaForCausalLM

        torch.set_num_threads(case.threads)
        self._model: Any = LlamaForCausalLM.from_pretrained(case.path, dtype=torch.bfloat16)
        self._cache: Any = None

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the logits of a stage."""
        from transformers.cache_utils import DynamicCache

        ((stage, tokens),) = inputs.items()
        if stage == PREFILL:
            self._cache = DynamicCache()
            return {"logits": self._step(tokens)}
        steps = [self._step(token) for token in np.split(tokens, tokens.shape[1], axis=1)]
        return {"logits": np.concatenate(steps, axis=1)}

    def _step(self, tokens: NDArray[Any]) -> NDArray[Any]:
        import torch

        with torch.inference_mode():
            found = self._model(input_ids=torch.from_numpy(tokens), past_key_values=self._cache, use_cache=True)
            logits: NDArray[Any] = found.logits.float().numpy()
        return logits
