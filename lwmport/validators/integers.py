"""What the integers of a quantised model come to: sums against int32, pairs against 16 bits, ranges, scales."""

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

SHOWN: Final = 10
"""Rows of each table: those that come nearest to a limit."""

TOLD: Final = 0.001
"""The share of clipped values from which a sentence tells of them."""


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


def rounded(largest: float) -> str:
    """Return a sum in words, to three digits: so many are right of one that is taken in float32."""
    return f"{float(f'{largest:.3g}'):,.0f}"


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


def judged(seen: Seen, *, saturating: bool | None, here: bool) -> Integers:
    """Return the verdict on the integers of a model.

    Args:
        seen: what was looked at.
        saturating: whether this processor sums pairs in 16 bits; None where that is not known.
        here: whether the model is run by kernels that do so on such a processor.
    """
    unfit = [one.name for one in seen.scales if one.unfit] + [one.name for one in seen.values if one.steps == math.inf]
    over = [one for one in seen.products if not one.largest <= LARGEST]  # NaN is none within it
    pairs = [one for one in seen.products if one.pairs] if saturating and here else []
    wrong = _unfit(unfit) if unfit else _overflows(over) if over else _saturates(pairs) if pairs else ""
    return Integers(
        status=Status.FAILED if wrong else Status.PASSED,
        words=wrong or _fits(seen, saturating),
        saturating=saturating,
        **_tables(seen),
    )


def unjudged(reason: str, seen: Seen | None = None) -> Integers:
    """Return that integers were not looked at, why, and what is known of their scales."""
    words = f"Integers are not judged: {reason}"
    if seen is None:
        return Integers(status=Status.NOT_JUDGED, words=words)
    told = "; ".join([words, *_scale_words(seen.scales)])
    return Integers(status=Status.NOT_JUDGED, words=told, **_tables(seen))


def _tables(seen: Seen) -> dict[str, Any]:
    poor = [one for one in seen.scales if _poor(one)]
    return {
        "products": len(seen.products),
        "values": len(seen.values),
        "scales": len(seen.scales),
        "nearest": tuple(sorted(seen.products, key=lambda one: (one.headroom_bits, -one.pairs))[:SHOWN]),
        "clipped": tuple(sorted(seen.values, key=lambda one: -one.clipped)[:SHOWN]),
        "poor": tuple(sorted(poor, key=lambda one: -_poor(one) / one.count)[:SHOWN]),
    }


def _poor(scales: ScaleFacts) -> int:
    return scales.subnormal + scales.zero + scales.unfit + scales.outside


def _more(found: Sequence[Any]) -> str:
    return f", and in {len(found) - 1} more" if len(found) > 1 else ""


def _keep(found: Sequence[IntegerProduct]) -> str:
    weight = next((one.weight for one in found if one.weight), "")
    return f"; convert again with --keep {weight}=float32" if weight else ""


def _unfit(names: Sequence[str]) -> str:
    return f"numbers that are infinite or no numbers first appear in {names[0]}{_more(names)}"


def _overflows(over: Sequence[IntegerProduct]) -> str:
    first = over[0]
    return (
        f"sums of integers beyond int32 ({LARGEST:,} at most) first appear in {first.name}: {rounded(first.largest)}"
        f"{_more(over)}{_keep(over)}"
    )


def _saturates(pairs: Sequence[IntegerProduct]) -> str:
    worst = max(pairs, key=lambda one: one.pairs)
    return (
        f"this processor has no VNNI and sums two products in 16 bits ({LARGEST_PAIR:,} at most): {worst.pairs:.2%} of "
        f"the pairs of {worst.name} saturate, up to {worst.largest_pair:,.0f}{_more(pairs)}; set ONNX Runtime's "
        "session.x64quantprecision to 1, or run it on a processor with VNNI"
    )


def _fits(seen: Seen, saturating: bool | None) -> str:  # noqa: FBT001 - a fact, and no switch
    told = [*_sum_words(seen.products), *_clip_words(seen.values), *_pair_words(seen.products, saturating)]
    return "; ".join([*told, *_scale_words(seen.scales)]) or "nothing in it is computed with integers of 8 bits"


def _sum_words(products: Sequence[IntegerProduct]) -> Iterable[str]:
    if not products:
        return
    nearest, worst = min(products, key=lambda one: one.headroom_bits), max(products, key=lambda one: one.worst)
    allowed = "no weights allow one" if worst.worst <= LARGEST else f"the weights of {worst.name} alone would allow one"
    yield (
        f"no sum of integers is beyond int32 on these inputs, and {allowed}: {nearest.name} comes nearest, "
        f"{rounded(nearest.largest)}, which could double {nearest.headroom_bits:.1f} times"
    )


def _clip_words(values: Sequence[RoundedValues]) -> Iterable[str]:
    most = max(values, key=lambda one: one.clipped, default=None)
    if most is not None and most.clipped >= TOLD:
        yield f"{most.clipped:.2%} of {most.name} are beyond its range, by up to {most.steps:,.0f} steps"


def _pair_words(products: Sequence[IntegerProduct], saturating: bool | None) -> Iterable[str]:  # noqa: FBT001 - as above
    pairs = [one for one in products if one.pairs]
    if pairs:
        worst = max(pairs, key=lambda one: one.pairs)
        where = {None: "this one is not known", False: "this one has it", True: "its kernels are not those that run"}
        yield (
            f"on x86 without VNNI {worst.pairs:.2%} of the pairs of {worst.name} saturate at 16 bits{_more(pairs)} "
            f"({where[saturating]})"
        )


def _scale_words(scales: Sequence[ScaleFacts]) -> Iterable[str]:
    for key, what in (
        ("unfit", "scales are infinite or no numbers"),
        ("zero", "scales are 0"),
        ("subnormal", "scales are subnormal, with few digits"),
        ("outside", "zero points are no code"),
    ):
        found = [one for one in scales if getattr(one, key)]
        if found:
            worst = max(found, key=lambda one: getattr(one, key) / one.count)
            dtype = "" if key == "outside" else f"{worst.dtype} "
            yield f"{getattr(worst, key):,} of {worst.count:,} {dtype}{what} in {worst.name}{_more(found)}"
