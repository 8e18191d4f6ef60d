"""A model's tensors as those of a Hugging Face folder: renamed, turned, some one behind the other in one.

A quantised one becomes several, as the readers of a packing have them (`lwmport.converters.hf.packings`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lwmport.checkpoints.huggingface.layouts import layout_to_hf
from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.lazy.layouts import relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.converters.hf.packings import PackedMatrix, Packer
from lwmport.errors import LoweringError
from lwmport.models.huggingface import HfName, HfTensor, HuggingFace
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


def packed_items(family: HuggingFace, config: Mapping[str, Any], weights: StoredWeights, packer: Packer) -> list[Item]:
    """Return what to write of weights of which some are quantised; nothing is read yet.

    Raises:
        LoweringError: tensors that become one are stored in several dtypes.
    """
    found: list[Item] = []
    for tensor in family.tensors(config):
        schemes = {weights.stored[name].name if name in weights.stored else "float32" for name, _ in tensor.parts}
        if len(schemes) > 1:
            names = " and ".join(name for name, _ in tensor.parts)
            raise LoweringError(
                f"expected {names} in one dtype, for they become one tensor; give --keep a pattern for both"
            )
        name, there = tensor.parts[0]
        if name in weights.stored and weights.stored[name].scales:
            found += packer(_matrix(weights, tensor.name, name, there, family.heads_of(there, config)))
        else:
            found.append(_as_stored(family, config, weights, tensor))
    return found


def _matrix(weights: StoredWeights, written: str, name: str, there: HfName, heads: int) -> PackedMatrix:
    def part(end: str) -> Lazy:
        return _laid_out(weights.packed, f"{name}{end}", there, heads)

    scheme = weights.stored[name]
    return PackedMatrix(
        name=written.removesuffix(".weight"),
        scheme=scheme,
        codes=part(""),
        scales=part("/scales"),
        zeros=None if scheme.symmetric else part("/zero_points"),
        inputs=weights.inputs.get(name),
    )


def _as_stored(family: HuggingFace, config: Mapping[str, Any], weights: StoredWeights, tensor: HfTensor) -> Item:
    """Return a tensor that is not quantised: in the dtype that is stored."""
    halves = tensor.parts[0][0] in weights.stored
    there = weights.packed if halves else weights
    return _rows(
        tensor.name, [_laid_out(there, name, other, family.heads_of(other, config)) for name, other in tensor.parts]
    )


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
