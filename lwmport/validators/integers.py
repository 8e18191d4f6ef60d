"""What is seen of the integers of a quantised model: sums, pairs of products, values beyond ranges, scales."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lwmport.types import Array, Status, dtype_of

LARGEST: Final = 2**31 - 1
"""Of int32, which products of 8 bits are summed in."""

LARGEST_PAIR: Final = 2**15 - 1
"""Of int16, which x86 without VNNI sums two products in (VPMADDUBSW, which saturates)."""


@dataclass(frozen=True, kw_only=True)
class IntegerProduct:
    """The sums of one operator whose products are of integers, over all runs.

    Attributes:
        name: of the operator in the file.
        weight: what is stored of its weights; empty where both sides are computed.
        terms: products in one sum.
        largest: the largest magnitude of a sum, its bias with it.
        worst: the largest that its weights allow, whatever is multiplied with them.
        headroom_bits: how often ``largest`` could double in int32; negative where it is beyond.
        pairs: the share of pairs of products, of those looked at, whose sum is beyond 16 bits.
        largest_pair: the largest magnitude of such a pair; 0 where the weights allow none beyond 16 bits.
    """

    name: str
    weight: str
    terms: int
    largest: float
    worst: float
    headroom_bits: float
    pairs: float
    largest_pair: float


@dataclass(frozen=True, kw_only=True)
class RoundedValues:
    """Values that are rounded to the codes of a range, over all runs.

    Attributes:
        name: ``OPERATOR/inputs`` or ``OPERATOR/outputs``, of the operator that computes with the codes.
        clipped: the largest share of values beyond the range: they become its end.
        steps: by how many steps the farthest of them lies beyond; infinite where one is no number.
    """

    name: str
    clipped: float
    steps: float


@dataclass(frozen=True, kw_only=True)
class ScaleFacts:
    """Scales that are stored, and their zero points.

    Attributes:
        name: of the tensor.
        dtype: of the scales.
        count: how many there are.
        smallest: the least magnitude above 0.
        subnormal: how many have not all the digits of the dtype.
        zero: how many are 0: all that they stand for is.
        unfit: how many are infinite or no number.
        outside: how many zero points beside them are no code: nothing that is stored means 0.
    """

    name: str
    dtype: str
    count: int
    smallest: float
    subnormal: int
    zero: int
    unfit: int = 0
    outside: int = 0


@dataclass(frozen=True, kw_only=True)
class Integers:
    """Whether the integers of a model hold what is computed with them, on some inputs.

    Attributes:
        status: passed, failed, or not judged where they could not be looked at.
        words: the verdict in a sentence, with what to do.
        products: operators that sum integers.
        values: tensors that are rounded to codes of a fixed range.
        scales: tensors of scales.
        saturating: whether this processor sums pairs in 16 bits; None where that is not known.
        nearest: the operators with the least room.
        clipped: the tensors with the largest share beyond their range.
        poor: the scales with few digits, of 0, or beside a zero point that is no code.
    """

    status: Status
    words: str
    products: int = 0
    values: int = 0
    scales: int = 0
    saturating: bool | None = None
    nearest: tuple[IntegerProduct, ...] = ()
    clipped: tuple[RoundedValues, ...] = ()
    poor: tuple[ScaleFacts, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that was looked at, in the order of computation."""

    products: Sequence[IntegerProduct] = ()
    values: Sequence[RoundedValues] = ()
    scales: Sequence[ScaleFacts] = ()


def headroom(largest: float) -> float:
    """Return how often a magnitude could double before it is beyond int32; infinite for 0."""
    return math.log2((LARGEST + 1) / largest) if largest > 0 else math.inf


def scale_facts(name: str, scales: Array, outside: int = 0) -> ScaleFacts:
    """Return what is to be known of the scales of a tensor, in the dtype that they are stored in."""
    import ml_dtypes

    finfo: Any = ml_dtypes.finfo
    normal = float(finfo(dtype_of(scales.dtype.name)).smallest_normal)
    sizes = np.abs(scales.astype(np.float64))
    above = sizes[(sizes > 0) & np.isfinite(sizes)]
    return ScaleFacts(
        name=name,
        dtype=scales.dtype.name,
        count=scales.size,
        smallest=float(above.min()) if above.size else 0.0,
        subnormal=int(np.count_nonzero(above < normal)),
        zero=int(np.count_nonzero(sizes == 0)),
        unfit=int(np.count_nonzero(~np.isfinite(sizes))),
        outside=outside,
    )


def joined(runs: Iterable[Seen]) -> Seen:
    """Return what was seen in several runs of one file: of each operator the largest of every number."""
    products: dict[str, IntegerProduct] = {}
    values: dict[str, RoundedValues] = {}
    scales: Sequence[ScaleFacts] = ()
    for run in runs:
        scales = run.scales
        for one in run.products:
            products[one.name] = _larger(one, products.get(one.name, one))
        for each in run.values:
            other = values.get(each.name, each)
            clipped, steps = max(each.clipped, other.clipped), max(each.steps, other.steps)
            values[each.name] = replace(each, clipped=clipped, steps=steps)
    return Seen(products=list(products.values()), values=list(values.values()), scales=scales)


def _larger(one: IntegerProduct, other: IntegerProduct) -> IntegerProduct:
    largest = max(one.largest, other.largest)
    return replace(
        one,
        largest=largest,
        headroom_bits=headroom(largest),
        pairs=max(one.pairs, other.pairs),
        largest_pair=max(one.largest_pair, other.largest_pair),
    )
