"""How a tensor is laid out here and in files of torch: transposed, channels of a head or axes in another order."""

from lwmport.checkpoints.layout import Layout
from lwmport.errors import CheckpointError
from lwmport.models.huggingface import HfName


def layout_to_hf(shape: tuple[int, ...], other: HfName, heads: int) -> Layout | None:
    """Return how our array of ``shape`` becomes Hugging Face's; None: it is the same.

    Raises:
        CheckpointError: a matrix without two axes, or channels that do not divide into pairs of ``heads``.
    """
    if not other.transposed:
        return None
    inputs, outputs = _matrix(shape, other.name)
    if not other.rotary:
        return Layout(view=shape, axes=(1, 0), shape=(outputs, inputs))
    pairs = _pairs(outputs, heads, other.name)
    return Layout(view=(inputs, heads, pairs, 2), axes=(1, 3, 2, 0), shape=(outputs, inputs))


def layout_from_hf(shape: tuple[int, ...], other: HfName, heads: int) -> Layout | None:
    """Return how Hugging Face's array of ``shape`` becomes ours; None: it is the same.

    Raises:
        CheckpointError: a matrix without two axes, an array with another number of axes, or channels that do not
            divide into pairs of ``heads``.
    """
    if other.axes:
        if len(shape) != len(other.axes):
            raise CheckpointError(f"{other.name}: expected {len(other.axes)} axes, found the shape {shape}")
        return Layout(view=shape, axes=other.axes, shape=tuple(shape[axis] for axis in other.axes))
    if not other.transposed:
        return None
    outputs, inputs = _matrix(shape, other.name)
    if not other.rotary:
        return Layout(view=shape, axes=(1, 0), shape=(inputs, outputs))
    pairs = _pairs(outputs, heads, other.name)
    return Layout(view=(heads, 2, pairs, inputs), axes=(3, 0, 2, 1), shape=(inputs, outputs))


def _matrix(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    if len(shape) != 2:
        raise CheckpointError(f"{name}: expected a matrix, found the shape {shape}")
    return shape[0], shape[1]


def _pairs(outputs: int, heads: int, name: str) -> int:
    if outputs % (2 * heads):
        raise CheckpointError(f"{name}: expected outputs in pairs for {heads} heads, found {outputs}")
    return outputs // (2 * heads)
