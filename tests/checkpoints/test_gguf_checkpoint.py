"""GGUF files of others: their kinds of blocks, grouped heads, tied tables; and what is refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError
from lwmport.types import Array

pytest.importorskip("gguf.quants")  # where it is not installed, a folder of tests has the name
gguf = pytest.importorskip("gguf")

SIZES = {"context_length": 64, "embedding_length": 64, "block_count": 1, "feed_forward_length": 96}
KEYS: dict[str, Any] = {**SIZES, "attention.head_count": 4, "attention.head_count_kv": 2, "vocab_size": 32}
SHAPES = {
    "token_embd": (32, 64),
    "output_norm": (64,),
    "blk.0.attn_norm": (64,),
    "blk.0.attn_q": (64, 64),
    "blk.0.attn_k": (32, 64),
    "blk.0.attn_v": (32, 64),
    "blk.0.attn_output": (64, 64),
    "blk.0.ffn_norm": (64,),
    "blk.0.ffn_gate": (96, 64),
    "blk.0.ffn_up": (96, 64),
    "blk.0.ffn_down": (64, 96),
}
KINDS = {
    "token_embd": "Q8_0",
    "blk.0.attn_q": "Q4_1",
    "blk.0.attn_v": "Q5_1",
    "blk.0.ffn_up": "F16",
    "blk.0.ffn_gate": "BF16",
}


def made(path: Path, architecture: str = "llama", kinds: dict[str, str] = KINDS, **changes: Any) -> dict[str, Array]:
    """Write a file as others do, and return the values that its tensors have."""
    writer = gguf.GGUFWriter(path, architecture)
    for name, value in {**KEYS, **changes}.items():
        writer.add_uint32(name if "." in name and "attention" not in name else f"{architecture}.{name}", value)
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-5)
    rng, found = np.random.default_rng(0), {}
    for name, shape in SHAPES.items():
        kind = gguf.GGMLQuantizationType[kinds.get(name, "F32")]
        data = gguf.quants.quantize(rng.standard_normal(shape).astype(np.float32), kind)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
        found[name] = gguf.quants.dequantize(data, kind).reshape(shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return found


def test_values_and_configuration(tmp_path: Path) -> None:
    values = made(tmp_path / "m.gguf")
    found = open_checkpoint(tmp_path / "m.gguf")
    expected = {"hidden_size": 64, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "tie_word_embeddings": True}
    assert found.config.items() >= {**expected, "theta": 10000.0, "vocab_size": 32}.items()
    assert found.findings.assumed == ("theta",)
    assert "quantized already: 1 Q8_0, 1 Q4_1, 1 Q5_1" in found.source["description"]
    layer = "transformer/h/0/"
    for name, own in {"attn_q": "attention/wq", "attn_v": "attention/wv", "ffn_up": "feed_forward/w3"}.items():
        np.testing.assert_array_equal(found.read(f"{layer}{own}/kernel").astype(np.float32), values[f"blk.0.{name}"].T)
    table = found.lazy("transformer/wte/embedding")
    np.testing.assert_array_equal(table.rows(5, 7), values["token_embd"][5:7])
    np.testing.assert_array_equal(table.read(), values["token_embd"])


def cut(path: Path) -> None:
    made(path)
    path.write_bytes(path.read_bytes()[:-64])


REFUSED = {
    "another architecture": (lambda path: made(path, architecture="gemma"), "expected general.architecture llama"),
    "one of several files": (
        lambda path: made(path, **{"split.count": 3}),
        "expected a whole GGUF file",
    ),
    "experts": (lambda path: made(path, **{"llama.expert_count": 8}), "expected llama.expert_count 0, found 8"),
    "heads that do not divide": (
        lambda path: made(path, **{"attention.head_count_kv": 3}),
        "expected a divisor of 4 as llama.attention.head_count_kv",
    ),
    "a cut file": (cut, "truncated: expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    make(tmp_path / "m.gguf")
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path / "m.gguf")
