"""A comparison of captions as a record: both answers for each picture, and all that the numbers depend on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.types import Status

FORMAT: Final = "lwmport-captions/1"


@dataclass(frozen=True, kw_only=True)
class Caption:
    """One answer, judged.

    Attributes:
        text: the answer.
        cosine: of the text's and the picture's embedding.
        tokens: of the text, without those that mark its begin and end.
        unseen_tokens: how many of them lie beyond what the judge reads.
        unseen: the end of the text that the judge did not read.
    """

    text: str
    cosine: float
    tokens: int
    unseen_tokens: int
    unseen: str

    @property
    def seen(self) -> str:
        """The part of the text that the judge read."""
        return self.text.removesuffix(self.unseen)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both answers for one picture; ``difference`` is the cosine of ``a`` less that of ``b``."""

    picture: str
    a: Caption
    b: Caption
    difference: float


@dataclass(frozen=True, kw_only=True)
class Side:
    """One file of answers.

    Attributes:
        file: its name.
        pictures: how many it has answers for.
        mean: the mean cosine over all of them.
        unseen_share: of its text that lies beyond what the judge reads: tokens of all tokens, 0 to 1.
        cut: answers of which the judge did not read all.
        only: pictures that the other file has no answer for.
    """

    file: str
    pictures: int
    mean: float
    unseen_share: float
    cut: int
    only: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A decoding setting that differs: its value on either side, as JSON, or that it is not told."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class Captions:
    """What was found.

    Attributes:
        status: passed, failed or not judged by the margin; skipped without one.
        sentence: the answer in words.
        a: one file of answers.
        b: the other.
        difference: the mean of A - B over the pictures of both.
        low: the lower end of its interval; None where one picture gives none.
        high: the upper end.
        margin: how much lower B may be; None for no verdict.
        decoding: what the files tell of how the answers were decoded, in words.
        settings: the decoding settings that differ.
        facts: the judge, the interval and the versions, by name.
        notes: what a reader should know of the judge.
        pairs: the pictures of both, the one where A is most ahead first.
    """

    status: Status
    sentence: str
    a: Side
    b: Side
    difference: float
    low: float | None
    high: float | None
    margin: float | None
    decoding: str
    settings: tuple[Setting, ...]
    facts: Mapping[str, str]
    notes: tuple[str, ...]
    pairs: tuple[Pair, ...]
