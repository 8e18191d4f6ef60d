"""What a result depends on beside its tensors: each value that somebody or something chose, and who or what it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

RANDOM: Final = "random_seed"
"""The entry of a source of weights (`lwmport.types.Weights.source`) that holds the seed of a file of random weights."""


@dataclass(frozen=True)
class Choice:
    """One value that no tensor settled alone, or that a tensor settled in a place worth naming.

    Attributes:
        name: what was chosen, in a word or two: ``theta``, ``heads``, ``chip``.
        value: a text, a number or a truth, as JSON has them.
        source: where it came from: ``--config lwm-chat-1m``, ``config.json``, ``default of ascend``.
    """

    name: str
    value: Any
    source: str

    @property
    def words(self) -> str:
        """Name and value, as a line of text says them."""
        return f"{self.name} {value_words(self.value)}"


def value_words(value: Any) -> str:
    """Return a value as a person writes it: whole numbers without a point."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def lines(choices: Iterable[Choice]) -> tuple[str, ...]:
    """Return one line for each source, in order: ``heads 32, theta 50000000 (--config lwm-chat-1m)``."""
    by_source: dict[str, list[str]] = {}
    for choice in choices:
        by_source.setdefault(choice.source, []).append(choice.words)
    return tuple(f"{', '.join(words)} ({source})" for source, words in by_source.items())


def metadata(choices: Iterable[Choice]) -> dict[str, str]:
    """Return name -> ``value (source)``, for the metadata of a file that holds texts alone."""
    return {choice.name: f"{value_words(choice.value)} ({choice.source})" for choice in choices}


def is_random(source: Mapping[str, Any]) -> bool:
    """Return whether a source of weights (`lwmport.types.Weights.source`) says that they are random numbers."""
    return source.get("kind") == "seeded" or RANDOM in source
