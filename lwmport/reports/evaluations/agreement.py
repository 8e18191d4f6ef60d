"""Which tokens two models choose behind the same prompts, as a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport import plain

FORMAT: Final = "lwmport-agreement/1"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first token that differs; the tokens behind it stand behind different texts, and are not compared.

    Attributes:
        place: how many new tokens stand before it.
        a: the token of A.
        b: that of B.
        a_text, b_text: the same as texts; empty without a tokenizer.
        a_gap: in A's logits, that of A's token less that of B's, 0 or more; a small one is a near tie.
        b_gap: in B's logits, that of B's token less that of A's.
    """

    place: int
    a: int
    b: int
    a_text: str
    b_text: str
    a_gap: float
    b_gap: float


@dataclass(frozen=True, kw_only=True)
class Continued:
    """One prompt: its tokens, how many new ones were compared, how many agree from the first on, and what differs."""

    prompt_tokens: int
    new_tokens: int
    agreeing: int
    difference: Difference | None


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What was found.

    Attributes:
        sentence: the answer in words.
        a, b: names of the folders.
        text: the name of the text that the prompts are of.
        text_sha256: of its file.
        mode: the kind of the new tokens.
        new_tokens: how many were asked for behind each prompt.
        identical: prompts behind which all tokens agree.
        smallest_gap, largest_gap: of ``a_gap`` where tokens differ; None where all agree.
        prompts: each of them.
        facts: runtimes, versions, by name.
    """

    sentence: str
    a: str
    b: str
    text: str
    text_sha256: str
    mode: str
    new_tokens: int
    identical: int
    smallest_gap: float | None
    largest_gap: float | None
    prompts: tuple[Continued, ...]
    facts: Mapping[str, str]


def document(found: Agreement) -> dict[str, Any]:
    """Return it as plain JSON values."""
    return {"format": FORMAT, **plain.encode(found)}
