"""A card, as its vendor's own tool tells it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lwmport.targets.doctor.machine import Machine

MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class Card:
    """One card, or one chip of it, ``chip``. ``soc`` is what ``lwmport compile --soc`` takes, empty if unknown."""

    vendor: str
    index: int
    name: str
    target: str
    soc: str = ""
    chip: int = 0
    memory: int | None = None
    health: str = "OK"
    driver: str = ""


Parsers: TypeAlias = Mapping[str, Callable[[Mapping[str, str]], list[Card]]]
"""Tool -> what reads the cards out of all that the machine's tools printed."""


def cards_of(machine: Machine, parsers: Parsers) -> tuple[Card, ...]:
    """Return the cards that some tools tell of, in the order in which they name them."""
    return tuple(card for tool, parse in parsers.items() if tool in machine.said for card in parse(machine.said))
