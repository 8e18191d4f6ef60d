"""How near the values of a model come to the limits of a narrow dtype: the verdict, operator by operator."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from lwmport.types import Status, dtype_of

SHOWN: Final = 10
"""Operators of a statement, those with the least room first."""

TOLD: Final = 0.01
"""The share of small values from which a sentence tells of them."""

ADVISED: Final = 4
"""Operators that a sentence names as those to keep; the record has all."""


@dataclass(frozen=True, kw_only=True)
class OperatorRange:
    """What an operator gives, or a weight has, over all runs.

    Attributes:
        name: ``MODULE/OPERATOR``, or the name of the weight.
        largest: the largest magnitude.
        headroom_bits: how often it could double before it overflows; negative where it does; infinite for zeros.
        subnormal: the largest share of values that are subnormal in the dtype: they have few digits there.
        lost: that of values that become zero.
    """

    name: str
    largest: float
    headroom_bits: float
    subnormal: float
    lost: float


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """Whether a dtype holds every value of a model on some inputs.

    Attributes:
        dtype: the dtype.
        status: passed, failed, or not judged where the model could not be run so.
        words: the verdict in a sentence, with what to do.
        limit: the largest number of the dtype.
        smallest_normal: the least number that has all digits.
        values: how many values inside the model, and weights, were looked at.
        first: the first operator whose values overflow, in the order of computation; empty if none.
        nearest: operators and weights with the least room.
        keep: operators that are to stay in float32 so that nothing overflows.
    """

    dtype: str
    status: Status
    words: str
    limit: float = 0.0
    smallest_normal: float = 0.0
    values: int = 0
    first: str = ""
    nearest: tuple[OperatorRange, ...] = ()
    keep: tuple[str, ...] = ()


def operator_range(name: str, dtype: str, largest: float, subnormal: float, lost: float) -> OperatorRange:
    """Return the record of one operator, with its room in a dtype."""
    room = math.log2(overflow(dtype) / largest) if largest > 0 else math.inf
    return OperatorRange(name=name, largest=largest, headroom_bits=room, subnormal=subnormal, lost=lost)


def limits_of(dtype: str) -> Any:
    """Return what is known of a floating dtype: its largest number, its least ones, its digits (``numpy.finfo``)."""
    import ml_dtypes

    finfo: Any = ml_dtypes.finfo
    return finfo(dtype_of(dtype))


def overflow(dtype: str) -> float:
    """Return the least magnitude that rounds to infinity: half a step above the largest number (IEEE 754, 4.3.1)."""
    limits = limits_of(dtype)
    exponent = math.frexp(float(limits.max))[1]
    return float(limits.max) + math.ldexp(1.0, exponent - limits.nmant - 2)


def judged(dtype: str, found: Iterable[OperatorRange], weights: Iterable[OperatorRange], keep: Iterable[str]) -> Ranges:
    """Return the verdict on the operators of a model, in the order of computation, and on its weights."""
    limits = limits_of(dtype)
    operators, tensors = list(found), list(weights)
    over = [one for one in (*tensors, *operators) if one.headroom_bits <= 0]
    nearest = sorted((*operators, *tensors), key=lambda one: one.headroom_bits)[:SHOWN]
    kept = _without_covered(keep)
    words = _overflows(dtype, float(limits.max), over, kept) if over else _fits(dtype, [*operators, *tensors])
    return Ranges(
        dtype=dtype,
        status=Status.FAILED if over else Status.PASSED,
        words=words,
        limit=float(limits.max),
        smallest_normal=float(limits.smallest_normal),
        values=len(operators) + len(tensors),
        first=over[0].name if over else "",
        nearest=tuple(nearest),
        keep=kept,
    )


def unjudged(dtype: str, reason: str) -> Ranges:
    """Return that nothing is known of the ranges, and why."""
    return Ranges(dtype=dtype, status=Status.NOT_JUDGED, words=f"Ranges in {dtype} are not judged: {reason}")


def _without_covered(names: Iterable[str]) -> tuple[str, ...]:
    """Return names without those that lie in a module that is named too."""
    found = dict.fromkeys(names)
    return tuple(name for name in found if not any(name.startswith(f"{other}/") for other in found))


def _overflows(dtype: str, limit: float, over: list[OperatorRange], keep: tuple[str, ...]) -> str:
    first = over[0]
    others = f", and in {len(over) - 1} more" if len(over) > 1 else ""
    advice = " ".join(f"--keep-float32 {name}" for name in keep[:ADVISED])
    more = f" and {len(keep) - ADVISED} more that report.json names" if len(keep) > ADVISED else ""
    return (
        f"values beyond {dtype} ({limit:,.6g} at most) first appear in {first.name}: {first.largest:,.6g}{others}. "
        f"Convert again with {advice}{more}"
    )


def _fits(dtype: str, found: list[OperatorRange]) -> str:
    if not found:
        return f"{dtype} holds every value on these inputs: there is none in it"
    least = min(found, key=lambda one: one.headroom_bits)
    worst = max(found, key=lambda one: (one.lost, one.subnormal))
    share, what = (worst.lost, "become zero") if worst.lost > 0 else (worst.subnormal, "are subnormal, with few digits")
    lost = f"; {share:.2%} of {worst.name} {what}" if share >= TOLD else ""
    return (
        f"{dtype} holds every value on these inputs: {least.name} comes nearest to its end, {least.largest:,.6g}, "
        f"which could double {least.headroom_bits:.1f} times{lost}"
    )
