"""New tokens on their way into a model: read, checked, cut into pieces, and made its inputs."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lwmport.errors import UsageError
from lwmport.runtime.session.layout import CODES, EMBEDS, IDS, MASK, POSITIONS, Layout
from lwmport.types import Array, Signature


@dataclass(frozen=True, kw_only=True)
class Piece:
    """New tokens: ids int64 [batch, n] or what stands for them float32 [batch, n, width], and what is known of them.

    ``name`` is the input that takes them, `IDS` or `EMBEDS`. ``codes`` bool [batch, n] says which are codes, ``mask``
    int64 [batch, held + n] up to them which are no padding.
    """

    name: str
    tokens: Array
    codes: Array
    mask: Array

    @property
    def batch(self) -> int:
        """Sequences."""
        return len(self.tokens)

    @property
    def count(self) -> int:
        """Tokens of each sequence."""
        return int(self.tokens.shape[1])

    @property
    def held(self) -> int:
        """Tokens in the cache before these."""
        return self.end - self.count

    @property
    def end(self) -> int:
        """Tokens in the cache behind these."""
        return int(self.mask.shape[1])

    def part(self, start: int, end: int) -> "Piece":
        """Return the tokens from the place ``start`` of the whole sequence to the place ``end``."""
        own = slice(start - self.held, end - self.held)
        return replace(self, tokens=self.tokens[:, own], codes=self.codes[:, own], mask=self.mask[:, :end])

    def padded(self, count: int) -> "Piece":
        """Return the tokens with more padding on the left."""
        tokens, codes, mask = (_before(array, count) for array in (self.tokens, self.codes, self.mask))
        return replace(self, tokens=tokens, codes=codes, mask=mask)

    def is_alike(self, *, codes: bool) -> bool:
        """Return whether every token that is no padding is a code, or every one a word."""
        return bool(np.all((self.codes == codes) | (self.mask[:, self.held :] == 0)))


def prompt(input_ids: Any, attention_mask: Any, vision_masks: Any, inputs_embeds: Any = None) -> Piece:
    """Return the tokens of prompts.

    Raises:
        UsageError: they are no arrays of one shape [batch, n] of the right kind, or padding is not on the left.
    """
    name, tokens = _tokens(input_ids, inputs_embeds)
    shape = tokens.shape[:2]
    mask = np.ones(shape, np.int64) if attention_mask is None else np.asarray(attention_mask)
    if mask.shape != shape or mask.dtype.kind not in "iub" or not np.isin(mask, (0, 1)).all():
        raise UsageError(f"expected {MASK} as 0 and 1 {list(shape)}, found {mask.dtype}{list(mask.shape)}")
    mask = mask.astype(np.int64)
    if not mask.any(axis=1).all():
        place = int(np.argmin(mask.any(axis=1)))
        raise UsageError(f"expected at least one 1 in each row of {MASK}, found only 0 in row {place}")
    if not mask[:, -1].all():
        raise UsageError(f"expected padding on the left only, found a row of {MASK} that ends with 0")
    if (np.diff(mask, axis=1) < 0).any():
        raise UsageError(f"expected padding on the left only, found a 0 after a 1 in {MASK}")
    return Piece(name=name, tokens=tokens, codes=_codes(vision_masks, shape), mask=mask)


def continuation(input_ids: Any, vision_masks: Any, mask: Array, inputs_embeds: Any = None) -> Piece:
    """Return new tokens behind those that a mask [batch, held] is of.

    Raises:
        UsageError: they are no arrays of one shape [batch, n] of the right kind, or of another batch.
    """
    name, tokens = _tokens(input_ids, inputs_embeds)
    if len(tokens) != len(mask):
        raise UsageError(
            f"expected new tokens of each of the {len(mask)} sequences of the prefill, found {len(tokens)}"
        )
    shape = tokens.shape[:2]
    mask = np.concatenate([mask, np.ones(shape, np.int64)], axis=1)
    return Piece(name=name, tokens=tokens, codes=_codes(vision_masks, shape), mask=mask)


def check_count(name: str, value: Any) -> None:
    """Return if a number of tokens is a whole number of at least 1.

    Raises:
        UsageError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise UsageError(f"expected {name} as a whole number of tokens, at least 1, found {value!r}")


def inputs_of(signature: Signature, layout: Layout, piece: Piece) -> dict[str, Array]:
    """Return the inputs beside the states.

    What a fixed number of tokens lacks is filled up behind them. The mask hides what fills up, and the next tokens are
    written over it, so that it takes no room: padding on the left would, and in the middle of a sequence it cannot be.
    """
    width = layout.tokens or piece.count
    positions = np.maximum(np.cumsum(piece.mask, axis=1) - 1, 0)[:, piece.held :]
    slots = width if layout.starts else layout.slots or piece.end
    values = {
        piece.name: _behind(piece.tokens, width),
        CODES: _behind(piece.codes, width),
        MASK: _behind(piece.mask, slots),
        POSITIONS: _behind(positions, width),
        **{state.position: np.full(1, piece.held) for state in signature.states},
    }
    given = {spec.name: spec.dtype for spec in signature.inputs if spec.name in values}
    return {name: np.ascontiguousarray(values[name], dtype) for name, dtype in given.items()}


def _tokens(input_ids: Any, inputs_embeds: Any) -> tuple[str, Array]:
    """Return the input that new tokens are for, and the tokens.

    Raises:
        UsageError: they come in both forms or in none, or as an array of another kind.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise UsageError(f"expected either {IDS} or {EMBEDS}, found {'none' if input_ids is None else 'both'}")
    return (IDS, _ids(input_ids)) if inputs_embeds is None else (EMBEDS, _embeds(inputs_embeds))


def _embeds(inputs_embeds: Any) -> Array:
    embeds = np.asarray(inputs_embeds)
    if embeds.ndim != 3 or not embeds.size or embeds.dtype.kind != "f":
        raise UsageError(
            f"expected {EMBEDS} as floats [batch, tokens, width], found {embeds.dtype}{list(embeds.shape)}"
        )
    return embeds.astype(np.float32)


def _ids(input_ids: Any) -> Array:
    ids = np.asarray(input_ids)
    if ids.ndim != 2 or not ids.size or ids.dtype.kind not in "iu":
        raise UsageError(f"expected {IDS} as integers [batch, tokens], found {ids.dtype}{list(ids.shape)}")
    return ids.astype(np.int64)


def _codes(vision_masks: Any, shape: tuple[int, ...]) -> Array:
    codes = np.zeros(shape, bool) if vision_masks is None else np.asarray(vision_masks)
    if codes.dtype != bool or codes.shape != shape:
        raise UsageError(f"expected {CODES} as bool{list(shape)}, found {codes.dtype}{list(codes.shape)}")
    return codes


def _before(array: Array, count: int) -> Array:
    return np.pad(array, ((0, 0), (count, 0), *((0, 0) for _ in array.shape[2:])))


def _behind(array: Array, width: int) -> Array:
    missing = width - array.shape[1]
    return np.pad(array, ((0, 0), (0, missing), *((0, 0) for _ in array.shape[2:]))) if missing else array
