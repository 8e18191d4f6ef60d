"""The verdict on the integers of a quantised model, in a sentence: sums against int32, pairs against 16 bits."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from lwmport.types import Status
from lwmport.validators.integers import (
    LARGEST,
    LARGEST_PAIR,
    IntegerProduct,
    Integers,
    RoundedValues,
    ScaleFacts,
    Seen,
)

SHOWN: Final = 10
"""Rows of each table: those that come nearest to a limit."""

TOLD: Final = 0.001
"""The share of clipped values from which a sentence tells of them."""


def rounded(largest: float) -> str:
    """Return a sum in words, to three digits: so many are right of one that is taken in float32."""
    return f"{float(f'{largest:.3g}'):,.0f}"


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
