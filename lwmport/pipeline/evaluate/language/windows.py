"""A text in windows, as llama.cpp cuts it, and what models say of each token that counts in one.

``llama-perplexity`` (tools/perplexity/perplexity.cpp) cuts a text into pieces of ``context`` tokens, lets each begin
with the token that texts begin with, and counts the second half of each, behind ``context // 2`` tokens that are only
read. That is done here too, unless a stride is asked for: then windows begin every ``stride`` tokens, and the last
``stride`` tokens of each count.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.models.spec import GenerationMode
from lwmport.pipeline.evaluate.language.texts import Source
from lwmport.runtime.session.token_session import TokenSession
from lwmport.types import Array

CONTEXT: Final = 512
"""llama.cpp's."""

LEAST: Final = 4
CHUNK: Final = 256
"""Tokens that are run at once."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Tokens: ids int64 [n], codes bool [n]; those behind the place ``first`` count."""

    ids: Array
    codes: Array
    first: int


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Tokens that count, int64 [n], and the logits of each model where each of them stands, [n, vocabulary]."""

    targets: Array
    logits: tuple[Array, ...]


def windows(source: Source, context: int, stride: int | None) -> list[Window]:
    """Return the windows of a text.

    Raises:
        UsageError: the text is too short for one.
    """
    found = []
    for piece in source.pieces:
        for start in range(0, len(piece.ids) - context + 1, stride or context):
            ids, codes = piece.ids[start : start + context].copy(), piece.codes[start : start + context].copy()
            if source.begin is not None:
                ids[0], codes[0] = source.begin, False
            first = context // 2 if stride is None else context - stride - 1
            found.append(Window(ids=ids, codes=codes, first=first))
    if not found:
        longest = max((len(piece.ids) for piece in source.pieces), default=0)
        raise UsageError(
            f"expected at least {context} tokens in {source.name}, found {longest}; give a longer text or a smaller "
            "--context"
        )
    return found


def check_context(context: int, stride: int | None, sessions: Sequence[TokenSession]) -> None:
    """Return if models take a context, and if it has room for a stride.

    Raises:
        UsageError: they do not.
    """
    if context < LEAST:
        raise UsageError(f"expected a context of at least {LEAST} tokens, found {context}")
    if stride is not None and not 1 <= stride <= context - 2:
        raise UsageError(f"expected a stride from 1 to {context - 2}, the context less 2, found {stride}")
    room = room_of(sessions)
    if room is not None and context > room:
        raise UsageError(f"expected a context of at most {room} tokens, as many as the model takes, found {context}")


def room_of(sessions: Sequence[TokenSession]) -> int | None:
    """Return how many tokens all of some models take; None for any number."""
    return min((session.room for session in sessions if session.room is not None), default=None)


def scored(
    sessions: Sequence[TokenSession], window: Window, modes: Mapping[str, GenerationMode], chunk: int
) -> Iterator[Scored]:
    """Yield the tokens of a window that count, some at a time, so that no more logits are in memory than these.

    A token that is a code counts where the models have logits of codes, a word where they have logits of words.

    Raises:
        UsageError: the models have different vocabularies, or not that of the text.
    """
    width = math.lcm(*(session.width for session in sessions))
    for start, end in _cuts(window.first, len(window.ids) - 1, width, chunk):
        counted = max(start, window.first)
        kept = max(end - counted, 1)
        outputs = [_fed(session, window, (start, end), kept, chunk) for session in sessions]
        if end == counted:
            continue
        targets, codes = window.ids[counted + 1 : end + 1], window.codes[counted + 1 : end + 1]
        yield from _by_kind(targets, codes, outputs, modes)


def _cuts(first: int, count: int, width: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Yield the places from which and up to which tokens are fed: what is only read, then pieces that fit a step."""
    start = first + (count - first) % width
    yield 0, start
    step = max(chunk // width, 1) * width
    for place in range(start, count, step):
        yield place, min(place + step, count)


def _fed(session: TokenSession, window: Window, place: tuple[int, int], kept: int, chunk: int) -> dict[str, Array]:
    start, end = place
    rows = session.rows or 1
    ids = np.repeat(window.ids[None, start:end], rows, axis=0)
    codes = np.repeat(window.codes[None, start:end], rows, axis=0) if session.has_codes else None
    run = session.step(ids, codes, chunk, keep=kept) if start else session.prefill(ids, None, codes, chunk, keep=kept)
    return {name: logits[0] for name, logits in run.items()}


def _by_kind(
    targets: Array, codes: Array, outputs: Sequence[dict[str, Array]], modes: Mapping[str, GenerationMode]
) -> Iterator[Scored]:
    for mode in modes.values():
        own = codes == mode.codes
        names = [next((name for name in mode.logits if name in found), None) for found in outputs]
        if not own.any() or None in names:
            continue
        logits = tuple(found[str(name)][own] for found, name in zip(outputs, names, strict=True))
        sizes = {one.shape[-1] for one in logits}
        if len(sizes) > 1:
            raise UsageError(f"expected models of one vocabulary, found {' and '.join(map(str, sorted(sizes)))} tokens")
        if targets[own].max() >= max(sizes):
            raise UsageError(
                f"expected tokens below {max(sizes)}, found {targets[own].max()}; is it another tokenizer?"
            )
        yield Scored(targets=targets[own], logits=logits)
