"""A small model that is talked to and served: its parts are converted once."""

from pathlib import Path
from typing import Any

import pytest
from small_tokenizer import write_tokenizer

import lwmport
from lwmport.models.options import Options
from lwmport.pipeline.assemble.run import assemble

LANGUAGE = {
    "vocab_size": 300, "vision_vocab_size": 8448, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
    "num_attention_heads": 2, "max_sequence_length": 1200, "scan_layers": False, "initializer_range": 0.5,
}  # fmt: skip
PICTURES = {"resolution": 32, "channel_mult": [1, 2], "hidden_channels": 32, "num_res_blocks": 1, "z_channels": 8}


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of a language model, a VQGAN and a tokenizer."""
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    root = tmp_path_factory.mktemp("talk")
    common: dict[str, Any] = {"format": "onnx", "batch": "dynamic", "validate": False}
    lwmport.convert(
        component="vision-llama", out=root / "llama", config=LANGUAGE, options=Options(sample_mode="all"), **common
    )
    lwmport.convert(component="vqgan", out=root / "vqgan", config=PICTURES, **common)
    return {"language": root / "llama", "pictures": root / "vqgan", "tokenizer": write_tokenizer(root / "tokenizer")}


@pytest.fixture(scope="session")
def model(parts: dict[str, Path]) -> Path:
    """Return an assembled model."""
    return assemble(**parts, out=parts["language"].parent / "model").folder
