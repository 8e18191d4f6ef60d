"""Tiny language models that are judged: two folders of ``convert`` that differ by their weights, and one assembled."""

from pathlib import Path
from typing import Any

import pytest
from language_config import CONFIG
from small_tokenizer import write_tokenizer

import lwmport
from lwmport.models.options import Options
from lwmport.pipeline.assemble.run import assemble


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
