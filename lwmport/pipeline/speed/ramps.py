"""Which rows are measured, in which order: pairs of lengths, each with the batches that are tried."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Climb:
    """The batches of one pair of lengths, the least first: the first that fails ends them."""

    input: int
    output: int
    batches: Callable[[], Iterator[int]]


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """Climbs one after the other; ``strict`` is whether the first failure ends all of them."""

    climbs: tuple[Climb, ...]
    strict: bool = False


def _mindie() -> Ramp:
    bases = {256: 600, 512: 300, 1024: 150, 2048: 75}
    climbs = (
        Climb(input=length, output=length, batches=lambda base=base: iter(range(base, base + 20)))  # type: ignore[misc]
        for length, base in bases.items()
    )
    return Ramp(climbs=tuple(climbs), strict=True)


RAMPS: Final[Mapping[str, Callable[[], Ramp]]] = {"mindie": _mindie}
"""Name -> the ramp. mindie: run_performance.sh of Ascend's MindIE-LLM recipe for MiniGPT-4: prompts and answers of the
same length, 20 batches from a base on, and an end at the first error."""


def ramp_of(inputs: Iterable[int], outputs: Iterable[int], batches: Iterable[int], *, rising: bool) -> Ramp:
    """Return all pairs of lengths with some batches; ``rising`` doubles the largest batch without end."""
    steps = tuple(dict.fromkeys(sorted(batches)))
    many = tuple(outputs)
    pairs = [(one, other) for one in inputs for other in many]
    return Ramp(climbs=tuple(Climb(input=one, output=other, batches=_climb(steps, rising)) for one, other in pairs))


def _climb(steps: tuple[int, ...], rising: bool) -> Callable[[], Iterator[int]]:  # noqa: FBT001 - as above
    def batches() -> Iterator[int]:
        yield from steps
        if rising:
            yield from (steps[-1] << power for power in count(1))

    return batches
