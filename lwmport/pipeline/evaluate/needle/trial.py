"""One trial, as LWM's ``scripts/eval_needle.py`` makes it: numbers of cities in a text, and a question about some.

The needle is ``The special magic CITY number is: NUMBER`` on a line of its own, a number of 7 digits. A context is the
text, cut to the length less 200 tokens and those of the needles. A needle goes in at its depth, moved back to the last
full stop, and at depth 100 to the end. LWM counts tokens of GPT-4's tokenizer; here they are those of the model's own.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.generation.tokenizer import Tokenizer

SPARE: Final = 200
"""Tokens of a context that are left for the prompt around it, and for the answer."""

CITIES: Final = (
    *("Accra", "Algiers", "Amman", "Athens", "Baku", "Bangkok", "Beirut", "Berlin", "Bogota", "Brussels", "Cairo"),
    *("Canberra", "Caracas", "Chicago", "Dakar", "Dhaka", "Doha", "Dublin", "Geneva", "Hanoi", "Havana", "Helsinki"),
    *("Istanbul", "Jakarta", "Kampala", "Karachi", "Kigali", "Lagos", "Lima", "Lisbon", "London", "Luanda", "Lusaka"),
    *("Madrid", "Manila", "Melbourne", "Milan", "Montreal", "Mumbai", "Nairobi", "Osaka", "Oslo", "Paris", "Prague"),
    *("Quito", "Riga", "Rome", "Santiago", "Seoul", "Singapore", "Sofia", "Stockholm", "Taipei", "Tashkent", "Tehran"),
    *("Tokyo", "Toronto", "Tunis", "Vienna", "Vilnius", "Warsaw", "Yangon", "Yerevan", "Zagreb", "Zurich"),
)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A context as text, the question, and the numbers that its answer has, in the order of the question."""

    context: str
    question: str
    numbers: tuple[str, ...]


def trial(
    tokenizer: Tokenizer, haystack: list[int], length: int, depth: int, needles: tuple[int, ...], seed: int
) -> Trial:
    """Return a trial; the same arguments give the same one.

    The first needle that is asked for is at ``depth`` percent; ``total`` needles are evenly far from each other, those
    that would lie behind the end counted from the begin.

    Args:
        tokenizer: of the model.
        haystack: tokens of the text, at least ``length``.
        length: of the context.
        depth: 0 to 100.
        needles: how many there are, and how many are asked for.
        seed: of the cities and the numbers.

    Raises:
        UsageError: the length has no room for the needles.
    """
    total, asked = needles
    drawn = np.random.default_rng([seed, length, depth])
    cities = [CITIES[place] for place in drawn.permutation(len(CITIES))[:total]]
    numbers = [str(number) for number in drawn.integers(1_000_000, 10_000_000, total)]
    hidden = [
        tokenizer.encode(f"\nThe special magic {city} number is: {number}\n", begins=False)
        for city, number in zip(cities, numbers, strict=True)
    ]
    room = length - SPARE - sum(map(len, hidden))
    if room < 1:
        raise UsageError(
            f"expected a context of more than {length - room} tokens, for the prompt takes {SPARE} and the needles "
            f"{length - room - SPARE}, found {length} (--lengths)"
        )
    places = [_place(tokenizer, haystack[:room], _depth(depth, number, total)) for number in range(total)]
    ids = _with(haystack[:room], sorted(zip(places, hidden, strict=True), key=lambda pair: pair[0]))
    return Trial(context=tokenizer.decode(ids), question=_question(cities[:asked]), numbers=tuple(numbers[:asked]))


def _depth(depth: int, number: int, total: int) -> float:
    """Return the depth of a needle, counted on from the first one's."""
    found = depth + 100 * number / total
    return found if found <= 100 else found - 100


def _place(tokenizer: Tokenizer, ids: list[int], depth: float) -> int:
    """Return before which token a needle goes: behind the last full stop before its depth, or at the begin."""
    if depth >= 100:
        return len(ids)
    place = int(len(ids) * depth / 100)
    while place and not tokenizer.decode([ids[place - 1]]).endswith("."):
        place -= 1
    return place


def _with(ids: list[int], needles: list[tuple[int, list[int]]]) -> list[int]:
    found, before = list[int](), 0
    for place, needle in needles:
        found += [*ids[before:place], *needle]
        before = place
    return found + ids[before:]


def _question(cities: list[str]) -> str:
    if len(cities) == 1:
        return f"What is the special magic {cities[0]} number?"
    return f"What are the special magic numbers for {', '.join(cities[:-1])}, and {cities[-1]}?"
