"""A Hugging Face LLaMA folder of bfloat16 as a GGUF of float32, written with the ``gguf`` package a tensor at a time.

Names of tensors and keys are the format's own: github.com/ggml-org/ggml, docs/gguf.md. The folder's files are read as
github.com/huggingface/safetensors describes them: a length of 8 bytes, a JSON of so many, then the tensors.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Hugging Face's name of a tensor, or of its part in a layer -> GGUF's."""


def prepare() -> None:
    """Import what writing loads."""
    import gguf  # noqa: F401


def write(folder: str, out: Path) -> None:
    """Write the weights of a folder in float32, without a vocabulary: tokens go in and out as numbers."""
    import gguf

    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(out, "llama")
    _describe(writer, config)
    heads = config["num_attention_heads"]
    for name, tensor in _tensors(folder):
        writer.add_tensor_info(_renamed(name), tensor.shape, np.dtype(np.float32), tensor.size * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, tensor in _tensors(folder):
        writer.write_tensor_data(_laid_out(name, tensor, heads))
    writer.close()


def _describe(writer: Any, config: dict[str, Any]) -> None:
    writer.add_file_type(0)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")


def _renamed(name: str) -> str:
    stem = name.removesuffix(".weight")
    if not stem.startswith("model.layers."):
        return f"{NAMES[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def _laid_out(name: str, bits: NDArray[np.uint16], heads: int) -> NDArray[np.float32]:
    """Return a tensor as llama.cpp wants it; nothing holds on to it, so that one is in memory at a time."""
    wide = _float32(bits)
    return _interleaved(wide, heads) if ".q_proj." in name or ".k_proj." in name else wide


def _interleaved(kernel: NDArray[Any], heads: int) -> NDArray[Any]:
    """Return a projection [heads * d, inputs] with the halves of each head in turn, as llama.cpp rotates them."""
    outputs, inputs = kernel.shape
    return np.ascontiguousarray(kernel.reshape(heads, 2, outputs // heads // 2, inputs).swapaxes(1, 2)).reshape(
        outputs, inputs
    )


def _tensors(folder: str) -> Iterator[tuple[str, NDArray[np.uint16]]]:
    """Give names and the bits of tensors, mapped from the files."""
    for path in sorted(Path(folder).glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        data = np.memmap(path, np.uint8, mode="r", offset=8 + length)
        for name, entry in header.items():
            if entry["dtype"] != "BF16":
                raise ValueError(f"expected tensors of BF16, found {entry['dtype']}: {name} in {path}")
            start, end = entry["data_offsets"]
            yield name, data[start:end].view("<u2").reshape(entry["shape"])


def _float32(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16 as float32, whose upper half it is."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
