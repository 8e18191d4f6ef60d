"""Weights as an artifact stores them, and as its consumer makes them again: one promise, read in pieces.

A converter writes `StoredWeights.packed`. Everything else (the reference, and what a converter computes from weights)
reads the reconstructed values, so that both sides of a comparison have the same weights.

A scheme whose values need scales has more tensors in ``packed``: ``NAME`` are the codes in the tensor's own shape,
``NAME/blocks`` the same as bytes [channels, groups, bytes of a group], ``NAME/scales`` and ``NAME/zero_points`` what is
stored of each group (`lwmport.checkpoints.quantised`). Of a scheme that is turned all have the channels in front.
"""

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from lwmport.checkpoints.calibrated import CalibratedTensor, Folded, Rounder
from lwmport.checkpoints.ggml_blocks import from_blocks, in_blocks
from lwmport.checkpoints.layers import LazyWeights, digest_of, lazy_tensor
from lwmport.checkpoints.layout import Layout
from lwmport.checkpoints.lazy.layouts import Cast, Relaid, relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.quantised import Blocks, Codes, Grids, QuantisedTensor, Values
from lwmport.checkpoints.rounded_bias import BiasPart, RoundedBias
from lwmport.models.schemes import CALIBRATED, SCALED
from lwmport.quantise.rounding import Grid
from lwmport.types import Levels, Scheme, Weights

ADVICE = "leave --store out"

NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class StoredWeights(LazyWeights):
    """Weights in the dtype of compute, rounded to what is stored of them.

    Args:
        exact: the weights before they are stored.
        scheme: what most of those are stored as that are not stored as they are computed.
        stored: the scheme of each of those; the others stay as they are.
        biases: those of convolutions of integers -> the kernel beside it.
        rounder: what rounds those whose method looks at what they are multiplied with.
        folded: vectors that the rounder knows factors of, which they are divided by.
        inputs: what those are multiplied with that is rounded to numbers that a consumer is told.

    Attributes:
        exact: the same.
        folded: the same.
        scaled: whether channels are scaled: some values inside of the model are others than with exact weights.
        scheme: the same.
        stored: the same.
        inputs: the same.
        packed: the tensors of ``stored`` as they are stored.
    """

    def __init__(  # noqa: PLR0913 - the last four are of some schemes alone
        self,
        exact: Weights,
        scheme: Scheme,
        stored: Mapping[str, Scheme],
        *,
        biases: Mapping[str, str] = NONE,
        rounder: Rounder | None = None,
        folded: Collection[str] = (),
        inputs: Mapping[str, Levels] = NONE,
    ) -> None:
        def held(name: str) -> Lazy:
            tensor = lazy_tensor(exact, name)
            return Folded(tensor, name, rounder) if name in folded else tensor

        packed: dict[str, Lazy] = {}
        again: dict[str, Lazy] = {}
        recent: dict[str, Grid] = {}
        for name in sorted(stored.keys() - biases.keys()):
            parts, again[name] = _stored(held(name), stored[name], name, recent, rounder)
            packed |= parts
        for name, kernel in sorted(biases.items()):
            bias = RoundedBias(lazy_tensor(exact, name), packed[f"{kernel}/scales"], inputs[kernel].scale)
            packed |= {name: BiasPart(bias, "codes"), f"{name}/scales": BiasPart(bias, "scales")}
            again[name] = BiasPart(bias, "values")
        others = {name: held(name) for name in exact.specs if name not in stored}
        super().__init__({**others, **again}, exact.source, lambda: digest_of(exact))
        self.exact = exact
        self.folded = tuple(folded)
        self.scaled = any(own.method == SCALED for own in stored.values())
        self.scheme = scheme
        self.stored = dict(stored)
        self.inputs = inputs
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


def stored_of(weights: Weights) -> Mapping[str, Scheme]:
    """Return the scheme of each tensor that some weights store in another form."""
    return weights.stored if isinstance(weights, StoredWeights) else {}


def _stored(
    exact: Lazy, scheme: Scheme, name: str, recent: MutableMapping[str, Grid], rounder: Rounder | None
) -> tuple[Mapping[str, Lazy], Lazy]:
    """Return the tensors that are stored of one, and what a consumer makes of them.

    Reading one raises a CheckpointError where a value has no finite neighbour among those that can be stored.
    """
    if scheme.blocks:
        blocks = in_blocks(exact, scheme.blocks, scheme.channel, name)
        return {name: blocks}, from_blocks(blocks, scheme.channel)
    if not scheme.scales:
        halves = Cast(exact, scheme.dtype, name, ADVICE)
        return {name: halves}, Cast(halves, scheme.computed, name)
    if scheme.turned and scheme.channel == -1:
        parts, values = _stored(_last_in_front(exact), replace(scheme, channel=0), name, recent, rounder)
        return parts, _front_last(values)
    tensor = QuantisedTensor(exact, scheme, name, recent)
    if scheme.method in CALIBRATED:
        tensor = CalibratedTensor(exact, scheme, name, recent, rounder)
    if scheme.dtype == scheme.computed:
        return {name: Values(tensor), f"{name}/scales": Grids(tensor, scheme.scales)}, Values(tensor)
    parts = {name: Codes(tensor), f"{name}/blocks": Blocks(tensor), f"{name}/scales": Grids(tensor, scheme.scales)}
    if not scheme.symmetric:
        parts[f"{name}/zero_points"] = Grids(tensor, "uint8")
    return parts, Values(tensor)


def _last_in_front(tensor: Lazy) -> Lazy:
    """Return a tensor [..., outputs] as [outputs, ...]."""
    shape = tensor.spec.shape
    axes = (len(shape) - 1, *range(len(shape) - 1))
    return relaid(tensor, Layout(view=shape, axes=axes, shape=(shape[-1], *shape[:-1])))


def _front_last(tensor: Lazy) -> Lazy:
    """Return a tensor [outputs, ...] as [..., outputs]."""
    shape = tensor.spec.shape
    return Relaid(tensor, Layout(view=shape, axes=(*range(1, len(shape)), 0), shape=(*shape[1:], shape[0])))
