"""A tokenizer of sentencepiece, from its ``tokenizer.model`` or a GGUF file, in the form of Hugging Face's files.

LLaMA's pieces are a BPE with byte fallback: of two neighbours those merge first whose piece has the highest score. So
each way to cut a piece in two is a merge, in the order of the scores. Nothing in a file is executed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from lwmport.converters.gguf.tokenizer_files import SENTENCEPIECE, read_vocabulary
from lwmport.converters.gguf.vocabulary import TokenType, Vocabulary
from lwmport.errors import UsageError
from lwmport.extras import require
from lwmport.generation.tokenizer import SETTINGS, TEXTS, Tokenizer
from lwmport.models.gguf import SENTENCEPIECE as PIECES

SPACE: Final = "\u2581"
"""What stands for a space in a piece."""

ENDS: Final = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}
"""Name of a special token in `SETTINGS` -> the key of its number in a GGUF file, behind ``tokenizer.ggml.``."""


def open_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer in a folder, a ``tokenizer.model`` or a GGUF file.

    Raises:
        UsageError: there is none, it is damaged, or of another kind.
        MissingExtraError: ``tokenizers``, or for a GGUF file ``gguf``, is not installed.
    """
    with TemporaryDirectory() as scratch:
        return Tokenizer(as_folder(path, Path(scratch)))


def as_folder(path: Path, scratch: Path) -> Path:
    """Return a folder of Hugging Face's files: ``path``, or ``scratch``, where they are written, of pieces alone.

    Raises:
        UsageError: the pieces are damaged, or of another kind.
        MissingExtraError: as of `open_tokenizer`.
    """
    if path.name == TEXTS and path.is_file():
        return path.parent
    if (path / TEXTS).is_file() or not (path.is_file() or (path / SENTENCEPIECE).is_file()):
        return path
    vocabulary = _text_alone(read_vocabulary(path))
    if vocabulary.model != PIECES or not vocabulary.scores:
        raise UsageError(
            f"expected pieces of sentencepiece in {path}, found a tokenizer of {vocabulary.model or 'no kind'}; name "
            f"the folder of the model's makers, with {TEXTS}"
        )
    (scratch / TEXTS).write_text(_texts(vocabulary), encoding="utf-8")
    own = path / SETTINGS
    told = json.dumps(_settings(vocabulary)) if path.is_file() or not own.is_file() else own.read_text("utf-8")
    (scratch / SETTINGS).write_text(told + "\n", encoding="utf-8")
    return scratch


def _text_alone(vocabulary: Vocabulary) -> Vocabulary:
    """Return a vocabulary without the codes of pictures that stand behind its text, ``<v0>`` and so on."""
    texts = [token.decode(errors="replace") for token in vocabulary.tokens]
    begin = texts.index("<v0>") if "<v0>" in texts else len(texts)
    if texts[begin:] != [f"<v{code}>" for code in range(len(texts) - begin)]:
        begin = len(texts)
    parts = {name: getattr(vocabulary, name)[:begin] for name in ("tokens", "types", "scores")}
    return Vocabulary(model=vocabulary.model, source=vocabulary.source, keys=vocabulary.keys, **parts)


def _texts(vocabulary: Vocabulary) -> str:
    """Return ``tokenizer.json``."""
    tokenizers = require("tokenizers")
    texts = [token.decode(errors="replace") for token in vocabulary.tokens]
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab={text: number for number, text in enumerate(texts)},
            merges=list(_merges(texts, vocabulary)),
            unk_token=_settings(vocabulary).get("unk_token"),
            fuse_unk=True,
            byte_fallback=TokenType.BYTE in vocabulary.types,
        )
    )
    normal, decode = tokenizers.normalizers, tokenizers.decoders
    made.normalizer = normal.Sequence([normal.Prepend(SPACE), normal.Replace(" ", SPACE)])
    made.decoder = decode.Sequence(
        [decode.Replace(SPACE, " "), decode.ByteFallback(), decode.Fuse(), decode.Strip(" ", 1, 0)]
    )
    special = {TokenType.CONTROL, TokenType.UNKNOWN}
    made.add_tokens(
        [
            tokenizers.AddedToken(text, special=kind in special, normalized=False)
            for text, kind in zip(texts, vocabulary.types, strict=True)
            if kind in {*special, TokenType.USER_DEFINED}
        ]
    )
    found: str = made.to_str()
    return found


def _merges(texts: list[str], vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Yield every pair of tokens that make a piece, those of the highest score first, then by their numbers."""
    numbers = {
        text: number
        for number, (text, kind) in enumerate(zip(texts, vocabulary.types, strict=True))
        if kind == TokenType.NORMAL
    }
    for number in sorted(numbers.values(), key=lambda number: -vocabulary.scores[number]):
        text = texts[number]
        pairs = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        known = [pair for pair in pairs if pair[0] in numbers and pair[1] in numbers]
        yield from sorted(known, key=lambda pair: (numbers[pair[0]], numbers[pair[1]]))


def _settings(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return ``tokenizer_config.json``: which tokens are special, and whether a text begins with one."""
    numbers = {name: vocabulary.keys.get(f"tokenizer.ggml.{key}") for name, key in ENDS.items()}
    named = {
        name: vocabulary.tokens[number].decode(errors="replace")
        for name, number in numbers.items()
        if number is not None and 0 <= int(number) < len(vocabulary.tokens)
    }
    return {**named, "add_bos_token": bool(vocabulary.keys.get("tokenizer.ggml.add_bos_token", True))}
