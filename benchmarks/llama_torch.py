"""transformers' LLaMA through torch.onnx.export, with the cache as flat inputs and outputs of the ecosystem's names."""

from pathlib import Path
from typing import Any

EXAMPLE = {"batch": 2, "past": 5, "new": 3}
"""Sizes of the example inputs: none is 0 or 1, which the exporter would take as fixed."""


def prepare() -> None:
    """Import what an export loads, and do a trivial one."""
    import torch
    from transformers import LlamaForCausalLM  # noqa: F401

    torch.onnx.export(torch.nn.SiLU().eval(), (torch.zeros(1),), dynamo=True, verbose=False)


def export(folder: str, out: Path) -> None:
    """Write the model of a Hugging Face folder in float32, any batch and any length."""
    import torch
    from transformers import LlamaForCausalLM

    model: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    model.eval()
    names = [f"{layer}.{part}" for layer in range(model.config.num_hidden_layers) for part in ("key", "value")]
    inputs = _example(model.config, len(names))
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    cache = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    shapes = {name: [cache] * len(names) if name == "past" else sizes for name in inputs}
    with torch.inference_mode():
        torch.onnx.export(
            _flat(model).eval(),
            (),
            out,
            kwargs=inputs,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=True,
            verbose=False,
            input_names=[*(name for name in inputs if name != "past"), *(f"past_key_values.{name}" for name in names)],
            output_names=["logits", *(f"present.{name}" for name in names)],
        )


def _example(config: Any, caches: int) -> dict[str, Any]:
    import torch

    batch, past, new = EXAMPLE.values()
    heads, size = config.num_key_value_heads, config.head_dim
    return {
        "input_ids": torch.ones(batch, new, dtype=torch.int64),
        "attention_mask": torch.ones(batch, past + new, dtype=torch.int64),
        "position_ids": torch.arange(past, past + new).repeat(batch, 1),
        "past": [torch.zeros(batch, heads, past, size) for _ in range(caches)],
    }


def _flat(model: Any) -> Any:
    """Return a module that takes keys and values as a list and returns logits, keys and values."""
    import torch
    from transformers.cache_utils import DynamicCache

    class Flat(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, position_ids: Any, past: list[Any]) -> tuple[Any, ...]:
            cache = DynamicCache()
            for layer in range(len(past) // 2):
                cache.update(past[2 * layer], past[2 * layer + 1], layer)
            found = self.model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=True,
            )
            layers = found.past_key_values.layers
            return (found.logits, *(part for layer in layers for part in (layer.keys, layer.values)))

    return Flat()
