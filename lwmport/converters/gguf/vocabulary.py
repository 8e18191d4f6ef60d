"""The tokens of a GGUF file: as many as the table has rows, for llama.cpp refuses another number."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Any, Final

from lwmport import digest
from lwmport.errors import UsageError
from lwmport.models.gguf import SENTENCEPIECE

NONE: Final = "none"
"""What ``--tokenizer`` says where fillers are to stand for a tokenizer."""


class TokenType(IntEnum):
    """What a token is (``llama_token_type`` in llama.h; sentencepiece has the same numbers)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Tokens in the order of their numbers.

    Attributes:
        tokens: their texts, UTF-8; sentencepiece's mark stands for a space.
        types: what each is, a number of `TokenType`.
        source: what they were read from, in words.
        scores: of each, for sentencepiece's kind; empty for another one.
        model: the kind of tokenizer.
        keys: more metadata, as it stands in the file.
        lists: more metadata that is a list of texts.
    """

    tokens: tuple[bytes, ...]
    types: tuple[int, ...]
    source: str
    scores: tuple[float, ...] = ()
    model: str = SENTENCEPIECE
    keys: Mapping[str, Any] = field(default_factory=dict)
    lists: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)

    def followed(self, texts: tuple[str, ...], kind: TokenType, said: str) -> "Vocabulary":
        """Return the vocabulary with more tokens behind it, of which ``said`` tells."""
        return replace(
            self,
            tokens=(*self.tokens, *(text.encode() for text in texts)),
            types=(*self.types, *[int(kind)] * len(texts)),
            scores=(*self.scores, *[0.0] * len(texts)) if self.scores else (),
            source=f"{self.source}, {said}" if texts else self.source,
        )

    def digest(self) -> str:
        """Return the SHA-256 of everything that it says."""
        said = asdict(self)
        said["tokens"] = [token.decode("latin-1") for token in self.tokens]
        said["lists"] = {name: [item.decode("latin-1") for item in items] for name, items in self.lists.items()}
        return digest.of_json(said)


def fillers(rows: int) -> Vocabulary:
    """Return tokens that stand for a tokenizer: LLaMA's first three, its bytes, then ``<t259>`` and so on.

    With bytes llama.cpp takes any text apart; without them it ends the process at the first.
    """
    ends = {TokenType.UNKNOWN: ("<unk>",), TokenType.CONTROL: ("<s>", "</s>")}
    known = {**ends, TokenType.BYTE: tuple(f"<0x{byte:02X}>" for byte in range(256))}
    first = [(text, kind) for kind, texts in known.items() for text in texts][:rows]
    rest = [(f"<t{number}>", TokenType.NORMAL) for number in range(len(first), rows)]
    return Vocabulary(
        tokens=tuple(text.encode() for text, _ in (*first, *rest)),
        types=tuple(int(kind) for _, kind in (*first, *rest)),
        scores=(0.0,) * rows,
        keys={"tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0},
        source="none, made-up tokens in its place",
    )


def fitted(vocabulary: Vocabulary, rows: int, codes: int) -> Vocabulary:
    """Return a vocabulary with a token for each row: those of a tokenizer, ``<pad0>`` and so on where it has fewer.

    ``<v0>`` and so on, behind them, are codes. They are user-defined: a prompt may hold them, and an answer shows them.

    Raises:
        UsageError: the tokenizer has more tokens than the text has rows.
    """
    found = len(vocabulary.tokens)
    if codes and found == rows + codes:
        return vocabulary
    if found > rows:
        raise UsageError(f"expected a tokenizer of at most {rows} tokens, found {found} in {vocabulary.source}")
    pads = tuple(f"<pad{number}>" for number in range(found, rows))
    padded = vocabulary.followed(pads, TokenType.UNUSED, f"<pad{found}> to <pad{rows - 1}>")
    named = tuple(f"<v{code}>" for code in range(codes))
    return padded.followed(named, TokenType.USER_DEFINED, f"<v0> to <v{codes - 1}> for codes")
