"""The configuration of tiny language models that are judged."""

from typing import Any

CONFIG: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 600, "scan_layers": False, "initializer_range": 0.5,
}  # fmt: skip
