"""Weights in blocks of ggml: which of a component's, and in which kind each."""

from dataclasses import replace
from typing import Final

from lwmport.ggml_kinds import KINDS
from lwmport.models.block_mixes import HEAD, MIXES, TABLE, kind_of
from lwmport.models.huggingface import HfTensor
from lwmport.models.schemes import BLOCKS, SCHEMES
from lwmport.models.specs import spec_of
from lwmport.types import Component, Scheme

VECTORS: Final = "_norm.weight"
"""How the names of tensors end that are no matrices."""


def block_schemes(component: Component, quantize: str) -> dict[str, Scheme]:
    """Return name -> scheme of the weights that a GGUF file of a component stores in blocks, or in float16.

    Args:
        component: a whole language model; another one has no such file, and nothing is stored so.
        quantize: a name of `lwmport.models.schemes.BLOCKS`.
    """
    spec = spec_of(component.family)
    if spec is None or spec.gguf is None or component.name not in spec.gguf.components:
        return {}
    model, config = spec.gguf, component.config
    tensors = model.tensors(config)
    layers = model.keys(config)[f"{model.architecture}.block_count"]
    heads = [model.keys(config)[f"{model.architecture}.attention.head_count{end}"] for end in ("", "_kv")]
    grouped = heads[0] != heads[1]
    tied = _is_tied(tensors)
    found = {}
    for tensor in tensors:
        if tensor.name.endswith(VECTORS):
            continue
        for name, there in tensor.parts:
            row = component.weights[name].shape[0 if there.transposed else -1]
            kind = kind_of(MIXES[quantize], tensor.name, row, layers, tied=tied, grouped=grouped)
            found[name] = _scheme(quantize, kind, -1 if there.transposed else 0)
    return found


def _is_tied(tensors: tuple[HfTensor, ...]) -> bool:
    """Return whether the table, or a part of it, is the head too: one kind then holds for both."""
    held = {tensor.name: {name for name, _ in tensor.parts} for tensor in tensors}
    head = held.get(f"{HEAD}.weight")
    return head is None or bool(head & held[f"{TABLE}.weight"])


def _scheme(quantize: str, kind: str, channel: int) -> Scheme:
    if kind not in KINDS:
        return SCHEMES["float16"]
    blocks = KINDS[kind]
    return replace(BLOCKS[quantize], group=blocks.values, block_bytes=blocks.nbytes, blocks=kind, channel=channel)
