"""Tiny language models that are judged: two folders of ``convert`` that differ by their weights, and one assembled."""

from pathlib import Path
from typing import Any

import pytest
from small_tokenizer import write_tokenizer

import lwmport
from lwmport.models.options import Options
from lwmport.pipeline.assemble.run import assemble

CONFIG: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 600, "scan_layers": False, "initializer_range": 0.5,
}  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return ``model``, assembled of ``a``; ``b``, of other weights; ``half``, ``a`` with weights stored in float16."""
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    root = tmp_path_factory.mktemp("language")
    tokenizer = write_tokenizer(root / "tokenizer")
    folders: dict[str, Any] = {"a": {}, "b": {"seed": 5}, "half": {"options": Options(store="float16")}}
    for name, options in folders.items():
        lwmport.convert(component="llama", format="onnx", validate=False, out=root / name, config=CONFIG, **options)
    made = assemble(language=root / "a", tokenizer=tokenizer, out=root / "model").folder
    return {"model": made, "tokenizer": tokenizer, **{name: root / name for name in folders}}
