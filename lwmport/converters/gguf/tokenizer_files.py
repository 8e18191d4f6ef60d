"""The vocabulary of a tokenizer's files: sentencepiece's, Hugging Face's, or what a GGUF file holds already."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.plain_json import read_object
from lwmport.converters.gguf.vocabulary import TokenType, Vocabulary
from lwmport.errors import ArtifactError, CheckpointError, UsageError, one_line
from lwmport.extras import require
from lwmport.instead import in_place_of
from lwmport.small_files import read_small
from lwmport.wire import Message

SENTENCEPIECE: Final = "tokenizer.model"
HUGGINGFACE: Final = "tokenizer.json"
SETTINGS: Final = "tokenizer_config.json"
BOS, EOS, UNKNOWN = "<s>", "</s>", "<unk>"
ADVICE: Final = f"name a folder with {SENTENCEPIECE} or {HUGGINGFACE}, or a GGUF file with the tokenizer"


def read_vocabulary(path: Path) -> Vocabulary:
    """Return the vocabulary of a folder or a file.

    Raises:
        UsageError: there is none, it is damaged, or of a kind that llama.cpp's files tell in another way.
    """
    file = _file_of(path)
    try:
        if file.suffix == ".gguf":
            return _from_gguf(file)
        found = _from_model(file) if file.suffix == ".model" else _from_json(file)
        return replace(found, keys={**found.keys, **_template(file.parent)})
    except (ArtifactError, AttributeError, CheckpointError, KeyError, OSError, TypeError, ValueError) as error:
        found_there = in_place_of(file) or one_line(error)
        raise UsageError(f"expected a tokenizer at {file}, found: {found_there}; {ADVICE}") from error


def _template(folder: Path) -> dict[str, str]:
    """Return how a conversation becomes a prompt, where the settings beside a tokenizer say it in one text."""
    settings = folder / SETTINGS
    template = read_object(settings).get("chat_template") if settings.is_file() else None
    return {"tokenizer.chat_template": template} if isinstance(template, str) else {}


def _file_of(path: Path) -> Path:
    candidates = [path / SENTENCEPIECE, path / HUGGINGFACE] if path.is_dir() else [path]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None or found.suffix not in {".model", ".json", ".gguf"}:
        raise UsageError(f"expected a tokenizer at {path}, found none; {ADVICE}")
    return found


def _from_model(file: Path) -> Vocabulary:
    """Return the pieces of sentencepiece's model. Source: sentencepiece_model.proto (1 piece: text, score, type)."""
    data = read_small(file)
    whole = Message(data, 0, len(data))
    pieces = [_piece(whole.inner(field)) for field in whole if field.number == 1]
    texts, scores, types = ([piece[part] for piece in pieces] for part in range(3))
    return _with_ends(file, texts, scores, types)


def _piece(message: Message) -> tuple[bytes, float, int]:
    text, score, kind = b"", 0.0, int(TokenType.NORMAL)
    for field in message:
        if field.number == 1:
            text = message.bytes(field)
        elif field.number == 2:
            score = message.float32(field)
        elif field.number == 3:
            kind = field.value
    return text, score, kind


def _from_json(file: Path) -> Vocabulary:
    """Return the tokens of a BPE with byte fallback, which is what LLaMA's sentencepiece model becomes.

    Its merges tell no scores; llama.cpp merges the pair of the highest score, and here of the first merge.
    """
    fields = read_object(file)
    model = fields.get("model", {})
    if model.get("type") != "BPE" or not model.get("byte_fallback"):
        raise CheckpointError("another kind than a BPE with byte fallback, as sentencepiece makes it")
    ids: Mapping[str, int] = model["vocab"]
    added = {item["content"]: item for item in fields.get("added_tokens", ())}
    numbered = {**ids, **{text: item["id"] for text, item in added.items()}}
    texts = sorted(numbered, key=lambda text: numbered[text])
    if [numbered[text] for text in texts] != list(range(len(texts))):
        raise CheckpointError("numbers of tokens with gaps")
    first = {_joined(merge): -float(rank) for rank, merge in reversed(list(enumerate(model.get("merges", ()))))}
    unknown = model.get("unk_token")
    return _with_ends(
        file,
        [text.encode() for text in texts],
        [first.get(text, 0.0) for text in texts],
        [_type_of(text, unknown, added.get(text)) for text in texts],
    )


def _joined(merge: Any) -> str:
    return merge.replace(" ", "", 1) if isinstance(merge, str) else "".join(merge)


def _type_of(text: str, unknown: str | None, added: Mapping[str, Any] | None) -> int:
    if text == unknown:
        return TokenType.UNKNOWN
    if added is not None:
        return TokenType.CONTROL if added.get("special") else TokenType.USER_DEFINED
    is_byte = len(text) == len("<0x00>") and text.startswith("<0x") and text.endswith(">")
    return TokenType.BYTE if is_byte else TokenType.NORMAL


def _with_ends(file: Path, texts: list[Any], scores: list[Any], types: list[Any]) -> Vocabulary:
    """Return a vocabulary with the numbers of its first, last and unknown token."""
    if not texts:
        raise CheckpointError("no tokens in it")
    places = {text: number for number, text in reversed(list(enumerate(texts)))}
    named = {"bos_token_id": BOS, "eos_token_id": EOS, "unknown_token_id": UNKNOWN}
    ends = {f"tokenizer.ggml.{key}": places[text.encode()] for key, text in named.items() if text.encode() in places}
    keys: dict[str, Any] = {**ends, "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False}
    return Vocabulary(
        tokens=tuple(texts), types=tuple(map(int, types)), source=file.name, scores=tuple(scores), keys=keys
    )


def _from_gguf(file: Path) -> Vocabulary:
    """Return what a GGUF file holds of a tokenizer, as it stands there."""
    gguf = require("gguf")
    try:
        fields = gguf.GGUFReader(file).fields
        held = {name: _value(field, gguf) for name, field in fields.items() if name.startswith("tokenizer.")}
    except Exception as error:  # the reader raises what numpy and struct raise
        raise CheckpointError(one_line(error)) from error
    tokens = held.pop("tokenizer.ggml.tokens", ())
    if not tokens:
        raise CheckpointError("no tokens in it")
    usual = [int(TokenType.NORMAL)] * len(tokens)
    lists = {name: value for name, value in held.items() if isinstance(value, tuple)}
    return Vocabulary(
        tokens=tokens,
        types=tuple(lists.pop("tokenizer.ggml.token_type", usual)),
        scores=tuple(lists.pop("tokenizer.ggml.scores", ())),
        source=file.name,
        model=str(held.pop("tokenizer.ggml.model", "")),
        keys={name: value for name, value in held.items() if not isinstance(value, tuple)},
        lists=lists,
    )


def _value(field: Any, gguf: Any) -> Any:
    """Return a field's value; the items of a list as a tuple, texts in it as bytes."""
    if field.types[0] != gguf.GGUFValueType.ARRAY:
        return field.contents()
    if field.types[-1] == gguf.GGUFValueType.STRING:
        return tuple(bytes(field.parts[part]) for part in field.data)
    return tuple(field.contents())
