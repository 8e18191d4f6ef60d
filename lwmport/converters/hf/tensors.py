"""A model's tensors as those of a Hugging Face folder: renamed, turned, some one behind the other in one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lwmport.checkpoints.huggingface.layouts import layout_to_hf
from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.lazy.layouts import relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.models.huggingface import HfName, HuggingFace
from lwmport.types import Array, Weights, WeightSpec


def items(family: HuggingFace, config: Mapping[str, Any], weights: Weights) -> list[Item]:
    """Return what to write, in the order in which a model computes; nothing is read yet."""
    return [
        _rows(
            tensor.name,
            [_laid_out(weights, name, there, family.heads_of(there, config)) for name, there in tensor.parts],
        )
        for tensor in family.tensors(config)
    ]


def _laid_out(weights: Weights, name: str, there: HfName, heads: int) -> Lazy:
    found = lazy_tensor(weights, name)
    layout = layout_to_hf(found.spec.shape, there, heads)
    return found if layout is None else relaid(found, layout)


def _rows(name: str, parts: Sequence[Lazy]) -> Item:
    """Return the rows of several tensors, one behind the other, as one."""
    first = parts[0].spec
    rows = sum(part.spec.shape[0] for part in parts)

    def pieces() -> Iterator[Array]:
        for part in parts:
            yield from part.pieces()

    return Item(name=name, spec=WeightSpec(shape=(rows, *first.shape[1:]), dtype=first.dtype), pieces=pieces)
