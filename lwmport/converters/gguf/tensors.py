"""A model's tensors as those of a GGUF file: renamed, turned, some one behind the other in one; in blocks or plain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport.checkpoints.ggml_blocks import GgmlBlocks
from lwmport.checkpoints.huggingface.layouts import layout_to_hf
from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.lazy.layouts import relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.stored_weights import packed_of
from lwmport.ggml_kinds import FLOATS
from lwmport.models.gguf import GgufModel
from lwmport.models.huggingface import HfName
from lwmport.types import Array, Weights, WeightSpec

KIND_OF: Final = {dtype: kind for kind, dtype in FLOATS.items()}


@dataclass(frozen=True, kw_only=True)
class GgufItem:
    """One tensor to write.

    Attributes:
        name: in the file.
        shape: of its values, the slowest axis first.
        kind: a name of `lwmport.ggml_kinds.KINDS` or `FLOATS`.
        parts: what its bytes are, one behind the other, in the layout of the file: uint8 where it is in blocks.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    parts: tuple[Lazy, ...]

    @property
    def spec(self) -> WeightSpec:
        """Shape and dtype of what is written."""
        first = self.parts[0].spec
        return WeightSpec(shape=(sum(part.spec.shape[0] for part in self.parts), *first.shape[1:]), dtype=first.dtype)

    def pieces(self) -> Iterator[Array]:
        """Yield what is written, from first to last."""
        for part in self.parts:
            yield from part.pieces()


def items(model: GgufModel, config: Mapping[str, Any], weights: Weights) -> list[GgufItem]:
    """Return what to write, in the order in which a model computes; nothing is read yet."""
    return [_item(tensor.name, tensor.parts, weights) for tensor in model.tensors(config)]


def _item(name: str, parts: tuple[tuple[str, HfName], ...], weights: Weights) -> GgufItem:
    packed = packed_of(weights)
    lazies, shapes, kinds = [], [], []
    for own, there in parts:
        found = packed.lazy(own) if own in packed.specs else lazy_tensor(weights, own)
        blocks = found.kind.name if isinstance(found, GgmlBlocks) else ""
        shape = weights.specs[own].shape
        lazies.append(found if blocks else _laid_out(found, there))
        shapes.append(shape[::-1] if there.transposed else shape)
        kinds.append(blocks or KIND_OF[found.spec.dtype])
    (kind,) = set(kinds)
    rows = sum(shape[0] for shape in shapes)
    return GgufItem(name=name, shape=(rows, *shapes[0][1:]), kind=kind, parts=tuple(lazies))


def _laid_out(tensor: Lazy, there: HfName) -> Lazy:
    layout = layout_to_hf(tensor.spec.shape, there, 1)
    return tensor if layout is None else relaid(tensor, layout)
