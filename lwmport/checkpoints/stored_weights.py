"""Weights as an artifact stores them, and as its consumer makes them again: one promise, read in pieces.

A converter writes `StoredWeights.packed`. Everything else (the reference, and what a converter computes from weights)
reads the reconstructed values, so that both sides of a comparison have the same weights.

A scheme whose values need scales adds them to ``packed`` as tensors of their own: ``NAME/scales``,
``NAME/zero_points``, each a `Lazy` over the rows of the same tensor.
"""

from collections.abc import Mapping

from lwmport.checkpoints.ggml_blocks import Blocks, from_blocks, in_blocks
from lwmport.checkpoints.layers import LazyWeights, digest_of, lazy_tensor
from lwmport.checkpoints.lazy.layouts import Cast
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.types import Scheme, Weights

ADVICE = "leave --store out"


class StoredWeights(LazyWeights):
    """Weights in the dtype of compute, rounded to what is stored of them.

    Args:
        exact: the weights before they are stored.
        scheme: what most of those are stored as that are not stored as they are computed.
        stored: the scheme of each of those; the others stay as they are.

    Attributes:
        exact: the same.
        scheme: the same.
        stored: the same.
        packed: the tensors of ``stored`` as they are stored.
    """

    def __init__(self, exact: Weights, scheme: Scheme, stored: Mapping[str, Scheme]) -> None:
        packed = {name: _packed(lazy_tensor(exact, name), stored[name], name) for name in sorted(stored)}
        again = {name: _reconstructed(tensor, stored[name], name) for name, tensor in packed.items()}
        others = {name: lazy_tensor(exact, name) for name in exact.specs if name not in packed}
        super().__init__({**others, **again}, exact.source, lambda: digest_of(exact))
        self.exact = exact
        self.scheme = scheme
        self.stored = dict(stored)
        self.packed = LazyWeights(packed, exact.source, self.digest)


def reference_name(reference: str, weights: Weights) -> str:
    """Return the name of a reference with what was done to its weights."""
    if not isinstance(weights, StoredWeights):
        return reference
    return f"{reference}, weights rounded to {weights.scheme.title}"


def packed_of(weights: Weights) -> LazyWeights:
    """Return the tensors that some weights store in another form; none where all are stored as they are computed."""
    if isinstance(weights, StoredWeights):
        return weights.packed
    return LazyWeights({}, weights.source, lambda: digest_of(weights))


def _packed(tensor: Lazy, scheme: Scheme, name: str) -> Lazy:
    """Return a tensor as it is stored.

    Reading it raises a CheckpointError where a value has no finite neighbour in the stored dtype.
    """
    if scheme.blocks:
        return in_blocks(tensor, scheme.blocks, scheme.channel, name)
    return Cast(tensor, scheme.dtype, name, ADVICE)


def _reconstructed(packed: Lazy, scheme: Scheme, name: str) -> Lazy:
    """Return a stored tensor as a consumer computes with it."""
    return from_blocks(packed, scheme.channel) if isinstance(packed, Blocks) else Cast(packed, scheme.computed, name)
