"""How well a language model expects a text, as a record: the numbers, and all that they depend on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport import plain
from lwmport.validators.likelihood import Comparison, Estimate

FORMAT: Final = "lwmport-perplexity/1"


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """What was found.

    Attributes:
        sentence: the answer in words.
        model: the name of the folder.
        against: the name of the reference's; None for none.
        text: the name of the text.
        text_sha256: of its file.
        tokens: of the whole text.
        context: tokens of a window.
        stride: tokens from the begin of one window to that of the next; None for a whole window.
        windows: how many were run.
        positions: tokens that counted.
        perplexity: of the model.
        comparison: with the reference; None without one.
        facts: runtimes, what counts, versions, by name.
    """

    sentence: str
    model: str
    against: str | None
    text: str
    text_sha256: str
    tokens: int
    context: int
    stride: int | None
    windows: int
    positions: int
    perplexity: Estimate
    comparison: Comparison | None
    facts: Mapping[str, str]


def document(found: Perplexity) -> dict[str, Any]:
    """Return it as plain JSON values."""
    return {"format": FORMAT, **plain.encode(found)}
