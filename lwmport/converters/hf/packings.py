"""Quantised matrices in the tensors and the words that readers of Hugging Face folders have for them.

What each function writes is what its readers document: compressed-tensors 0.20 (vllm-project, pack_quantized and
naive_quantized), AutoGPTQ 0.7 and GPTQModel, AutoAWQ 0.2 ("gemm"), MindIE 1.0 to 2.3
(mindie_llm0289).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.quantise.rounding import middle
from lwmport.registry import Registry
from lwmport.types import Array, Levels, Scheme, WeightSpec

WORD: Final = 32
"""Bits of a word that holds several codes, the first of them in its lowest bits."""


@dataclass(frozen=True, kw_only=True)
class PackedMatrix:
    """A quantised matrix in the folder's layout.

    Attributes:
        name: of the module in the folder, without ``.weight``.
        scheme: how it is quantised.
        codes: uint8, or int8 with the zero point 0, [outputs, inputs].
        scales: [outputs, groups].
        zeros: zero points, uint8 [outputs, groups]; None where all are `lwmport.quantise.rounding.middle`.
        inputs: what it is multiplied with is rounded to these numbers; None where readers are not told any.
    """

    name: str
    scheme: Scheme
    codes: Lazy
    scales: Lazy
    zeros: Lazy | None
    inputs: Levels | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs."""
        outputs, inputs = self.codes.spec.shape
        return outputs, inputs


Packer: TypeAlias = Callable[[PackedMatrix], list[Item]]


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What is told of a folder beside its tensors.

    Attributes:
        scheme: that of the quantised matrices.
        quantised: their modules.
        ignored: the other modules that are matrices, tables left out.
        items: everything that is written.
    """

    scheme: Scheme
    quantised: tuple[str, ...]
    ignored: tuple[str, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way to hold quantised weights.

    Attributes:
        pack: makes tensors of a matrix.
        config: returns what ``config.json`` says beside the model, of a folder.
        files: returns the name and content of more files, of a folder.
        weights: the name of the one file that holds all tensors, ``{}`` for the kind; empty for the usual ones.
    """

    pack: Packer
    config: Callable[[Folder], dict[str, Any]]
    files: Callable[[Folder], Mapping[str, Any]]
    weights: str = ""


FORMATS: Final = Registry(
    "packing",
    {
        "compressed-tensors": "lwmport.converters.hf.compressed_tensors:FORMAT",
        "gptq": "lwmport.converters.hf.gptq:FORMAT",
        "awq": "lwmport.converters.hf.awq:FORMAT",
        "mindie": "lwmport.converters.hf.mindie:FORMAT",
    },
)
"""Packing (`lwmport.models.packed_schemes.PACKINGS`) -> its `Format`."""


def whole(name: str, tensor: Lazy) -> Item:
    """Return a tensor to write as it is."""
    return Item(name=name, spec=tensor.spec, pieces=tensor.pieces)


def made(name: str, shape: tuple[int, ...], dtype: str, make: Callable[[], Array]) -> Item:
    """Return a tensor to write that is made when it is written, in one."""

    def pieces() -> Iterator[Array]:
        yield np.ascontiguousarray(make()).reshape(-1)

    return Item(name=name, spec=WeightSpec(shape=shape, dtype=dtype), pieces=pieces)


def zeros_of(matrix: PackedMatrix) -> Array:
    """Return the zero points of a matrix, uint8 [outputs, groups], those that are not stored too."""
    if matrix.zeros is not None:
        return matrix.zeros.read()
    return np.full(matrix.scales.spec.shape, middle(matrix.scheme.bits), np.uint8)


def in_words(codes: Array, bits: int, axis: int) -> Array:
    """Return codes (uint8) as int32 words along an axis; the last word is filled up with 0."""
    each = WORD // bits
    turned = np.moveaxis(codes, axis, -1)
    missing = -turned.shape[-1] % each
    if missing:
        turned = np.pad(turned, [(0, 0)] * (turned.ndim - 1) + [(0, missing)])
    grouped = turned.reshape(*turned.shape[:-1], -1, each)
    words = np.zeros(grouped.shape[:-1], np.uint32)
    for place in range(each):
        words |= grouped[..., place].astype(np.uint32) << np.uint32(place * bits)
    found: Array = np.ascontiguousarray(np.moveaxis(words, -1, axis)).view(np.int32)
    return found


def words_of(count: int, bits: int) -> int:
    """Return how many words hold some codes."""
    return -(-count * bits // WORD)
