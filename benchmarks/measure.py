"""Racing in turns, and the arithmetic of it: only ratios within one round are trusted.

The machine may be shared. What slows it down for a minute slows every contender of that minute's rounds, so each
contender is divided by the baseline of the same round, and the median of those ratios is reported with its extremes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Taken = TypeVar("Taken")


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times the baseline's seconds a contender needs: the median over rounds, and the extremes."""

    median: float
    low: float
    high: float


def race(turns: Mapping[str, Callable[[], Taken]], rounds: int) -> dict[str, list[Taken]]:
    """Return what each contender took in each round.

    Everyone runs once a round; each round starts with the next one, so that nobody always runs after the same other.

    Args:
        turns: contender -> what runs it once and returns the seconds that this took, or several of them.
        rounds: how often everyone runs.
    """
    names = list(turns)
    taken: dict[str, list[Taken]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken[name].append(turns[name]())
    return taken


def ratios(seconds: Mapping[str, Sequence[float]], baseline: str) -> dict[str, Ratio]:
    """Return each contender's ratio to the baseline, taken round by round."""
    return {name: _ratio(own, seconds[baseline]) for name, own in seconds.items()}


def _ratio(seconds: Sequence[float], baseline: Sequence[float]) -> Ratio:
    by_round = [own / base for own, base in zip(seconds, baseline, strict=True)]
    return Ratio(median=median(by_round), low=min(by_round), high=max(by_round))
