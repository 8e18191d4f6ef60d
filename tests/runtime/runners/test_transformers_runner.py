"""Transformers as a runtime: what must be so before PyTorch computes in several threads."""

from pathlib import Path
from typing import Any

import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.dialects import DIALECTS
from lwmport.converters.hf.convert import convert
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import LlamaConfig
from lwmport.runtime.runners.transformers import VECTOR_MATHS, TransformersRunner


def test_each_function_runs_first_on_one_number_in_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    component = llama(LlamaConfig.from_json({"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}))
    folder = convert(component, SeededWeights(component.weights, 0), DIALECTS["hf"], tmp_path, lambda *_: None).path
    first: dict[str, int] = {}

    def watched(name: str) -> Any:
        plain = getattr(torch, name)

        def call(tensor: Any, *rest: Any, **options: Any) -> Any:
            first.setdefault(name, tensor.numel())
            return plain(tensor, *rest, **options)

        return call

    for name in VECTOR_MATHS:
        monkeypatch.setattr(torch, name, watched(name))
    TransformersRunner(folder, threads=2)
    assert first == dict.fromkeys(VECTOR_MATHS, 1)
