"""What a result depends on beside its tensors: each value that somebody or something chose, and who or what it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

RANDOM: Final = "random_seed"
"""The entry of a source of weights (`lwmport.types.Weights.source`) that holds the seed of a file of random weights."""

REFUSED: Final = "refused_forms"
"""The detail of an artifact that holds the operators that its dialect prefers and that do not take the model, each with
what it takes."""

CONFIGURATION: Final = "configuration"
WEIGHTS: Final = "weights"
"""The choices of which the value can be the name of a file."""

CHOICES: Final = "choices"
"""The entry of the source of weights that are being converted that holds the choices, as plain JSON values."""


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
    """Return name -> ``value (source)``, for the metadata of a file that holds texts alone.

    A file of weights is not named: the models are the same wherever it lies.
    """
    told = (
        choice for choice in choices if choice.name not in {CONFIGURATION, WEIGHTS} or "random" in str(choice.value)
    )
    return {
        choice.name: str(choice.value) if choice.name == WEIGHTS else f"{value_words(choice.value)} ({choice.source})"
        for choice in told
    }


def of_details(details: Mapping[str, Any]) -> tuple[Choice, ...]:
    """Return the choices that a converter made itself (`lwmport.types.Artifact.details`)."""
    return tuple(
        Choice("operators", f"others than {name}", f"it takes {limit} alone")
        for name, limit in details.get(REFUSED, {}).items()
    )


def of_source(source: Mapping[str, Any]) -> tuple[Choice, ...]:
    """Return the choices that a source of weights (`lwmport.types.Weights.source`) holds."""
    return tuple(Choice(**item) for item in source.get(CHOICES, ()))


def is_random(source: Mapping[str, Any]) -> bool:
    """Return whether a source of weights (`lwmport.types.Weights.source`) says that they are random numbers."""
    return source.get("kind") == "seeded" or RANDOM in source
