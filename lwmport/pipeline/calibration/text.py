"""The text that a model runs on before its weights are rounded, as tokens, and as a manifest keeps them."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import digest
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import UsageError
from lwmport.generation.tokenizer import TEXTS, Tokenizer
from lwmport.models.families import Family
from lwmport.models.specs import spec_of
from lwmport.pipeline.evaluate.language.texts import Piece, Source, read_source
from lwmport.types import Array, Component, Weights

CONTEXT: Final = 512
"""Tokens that are run together."""

MOST: Final = 8192
"""Tokens in all: what a layer makes of them is in memory at once."""

OWN: Final = "technical.txt"
"""Documents and code of this project, as they were once. A model that saw a story alone lost more on such a text."""

CODES: Final = "vision_masks"
"""The input that says which tokens are codes of a picture."""


@dataclass(frozen=True, kw_only=True)
class CalibrationText:
    """What a model runs on: samples of tokens; none where the component's own inputs are taken.

    Attributes:
        source: whose text it is.
        ids: int32 [n] each.
        codes: which of them are codes of a picture, bool [n] each; empty where none is.
    """

    source: str
    ids: tuple[Array, ...] = ()
    codes: tuple[Array, ...] = ()

    @property
    def words(self) -> str:
        """What it is, for a reader."""
        if not self.ids:
            return self.source
        count, longest = sum(map(len, self.ids)), max(map(len, self.ids))
        return f"{count} tokens of {self.source}, at most {longest} at once"

    def lines(self, tokens: str) -> Iterator[dict[str, Any]]:
        """Yield each sample as inputs of a component; ``tokens`` is the name of its input of tokens."""
        for number, row in enumerate(self.ids):
            codes = {CODES: [self.codes[number].tolist()]} if self.codes else {}
            yield {tokens: [row.tolist()], **codes}

    def digest(self) -> str:
        """Return the SHA-256 of it."""
        return digest.of_json(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "source": self.source,
            "lengths": [len(row) for row in self.ids],
            "ids": _packed(self.ids, "<i4"),
            "codes": _packed(self.codes, "|u1"),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CalibrationText":
        """Return what `to_json` told."""
        ends = np.cumsum(value["lengths"], dtype=np.int64)[:-1]
        ids, codes = _unpacked(value["ids"], "<i4", ends), _unpacked(value["codes"], "|u1", ends)
        return cls(source=value["source"], ids=ids, codes=tuple(row.astype(bool) for row in codes))


@dataclass(frozen=True)
class _Tokens:
    """The tokenizer beside the weights."""

    folder: Path

    def texts(self) -> Tokenizer:
        return Tokenizer(self.folder)


def calibration_text(
    family: Family, weights: Weights, checkpoint: str | None, asked: Path | None, component: Component
) -> CalibrationText:
    """Return what a model is to run on: a user's text, ours by the tokenizer beside the checkpoint, or its own inputs.

    Raises:
        UsageError: a trained model has no tokenizer beside it and no tokens are given, or it reads no text.
    """
    if not tokens_of(component):
        if asked is not None:
            raise UsageError(f"expected --calibrate-on of a model that reads tokens, found {family.name}; leave it out")
        return CalibrationText(source="the inputs that it is judged on")
    folder = None if checkpoint is None else _beside(checkpoint)
    if asked is None and (folder is None or not (folder / TEXTS).is_file()):
        if isinstance(weights, SeededWeights):
            return CalibrationText(source="the inputs that it is judged on")
        raise UsageError(
            f"expected {TEXTS} beside the checkpoint, or --calibrate-on F.npz with input_ids, for a method that runs "
            f"the model, found none in {folder}"
        )
    tokens = _Tokens(folder or Path())
    source = read_source(asked, tokens)
    if asked is None:
        other = read_source(Path(__file__).parent / "data" / OWN, tokens)
        source = replace(source, name=f"{source.name} and {OWN}", pieces=(*source.pieces, *other.pieces))
    return _cut(source, _longest(component))


def tokens_of(component: Component) -> str:
    """Return the input of tokens of a component, or of what feeds it; empty where there is none."""
    first = component.feeder or component
    spec = spec_of(first.family)
    names = {one.name for one in first.signature.inputs}
    return spec.tokens if spec is not None and spec.complete and spec.tokens in names else ""


def _longest(component: Component) -> int:
    """Return how many tokens a component takes at once, of those that we would run."""
    first = component.feeder or component
    specs = {spec.name: spec for one in (first, component) for spec in one.signature.inputs}
    fixed = specs[tokens_of(component)].shape[1]
    limits = specs["position_ids"].value_range if "position_ids" in specs else None
    sizes = (CONTEXT, fixed if isinstance(fixed, int) else CONTEXT, int(limits[1]) + 1 if limits else CONTEXT)
    return min(sizes)


def _cut(source: Source, length: int) -> CalibrationText:
    """Return a text in windows that each begin as texts do, the first of every piece first, then the second ones.

    The rest of a piece that fills no window is left out.
    """
    found: list[tuple[int, Piece]] = []
    for piece in source.pieces:
        starts = range(0, max(1, len(piece.ids) - length + 1), length)
        cut = [Piece(ids=piece.ids[at : at + length].copy(), codes=piece.codes[at : at + length]) for at in starts]
        found += [(number, row) for number, row in enumerate(cut) if len(row.ids)]
    rows = [row for _, row in sorted(found, key=lambda item: item[0])][: MOST // length]
    if not rows:
        raise UsageError(f"expected tokens to calibrate on in {source.name}, found none")
    for row in rows if source.begin is not None else ():
        row.ids[0] = source.begin
    codes = tuple(row.codes for row in rows) if any(row.codes.any() for row in rows) else ()
    return CalibrationText(source=source.name, ids=tuple(row.ids.astype(np.int32) for row in rows), codes=codes)


def _beside(checkpoint: str) -> Path:
    """Return the folder that a checkpoint is or lies in."""
    path = Path(checkpoint.rpartition("::")[2])
    return path if path.is_dir() else path.parent


def _packed(rows: tuple[Array, ...], dtype: str) -> str:
    found = np.concatenate(rows).astype(dtype) if rows else np.empty(0, dtype)
    return base64.b64encode(found.tobytes()).decode()


def _unpacked(text: str, dtype: str, ends: Array) -> tuple[Array, ...]:
    found = np.frombuffer(base64.b64decode(text), dtype)
    return tuple(np.split(found, ends)) if found.size else ()
