"""The two phases of a language model: which of them runs which tokens, and whether there is room for all."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lwmport.errors import UsageError
from lwmport.runtime.inputs import check_inputs
from lwmport.runtime.session.layout import CODES, IDS, Layout, layout_of
from lwmport.runtime.session.piece import Piece, check_count
from lwmport.types import DECODE, PREFILL, Signature, TensorSpec


class Phases:
    """Signatures and layouts by phase. Where there is no prefill, the decode does its work.

    Args:
        parts: phase -> (name of its component, its signature).

    Raises:
        ArtifactError: there is no decode, or a component is no whole language model.
    """

    def __init__(self, parts: Mapping[str, tuple[str, Signature]]) -> None:
        self.models = {PREFILL: PREFILL if PREFILL in parts else DECODE, DECODE: DECODE}
        self.signatures = {phase: parts[own][1] for phase, own in self.models.items()}
        self.layouts = {phase: layout_of(*parts[own]) for phase, own in self.models.items()}
        self._tokens = {phase: _any_length(self.signatures[phase], self.layouts[phase]) for phase in self.layouts}

    def pieces(self, whole: Piece, chunk: int | None, first: str) -> Iterator[tuple[str, Piece]]:
        """Yield the phase and the tokens of each run, ``chunk`` at once where their number is open.

        Only the first run of a prompt is a prefill: behind it there is a cache, which a decode takes.
        """
        start, phase = whole.held, first
        while start < whole.end:
            end = min(whole.end, start + (self.layouts[phase].tokens or chunk or whole.end))
            yield phase, whole.part(start, end)
            start, phase = end, DECODE

    def filled_up(self, whole: Piece, first: str) -> Piece:
        """Return tokens in a number that fits: a cache that grows by a fixed number has padding in front of a prompt.

        Raises:
            UsageError: the number does not fit, and there are tokens in front of them already.
        """
        layout, count = self.layouts[first], whole.count
        if layout.tokens is None or layout.slots is not None or count % layout.tokens == 0:
            return whole
        if first != PREFILL:
            raise UsageError(f"expected a multiple of {layout.tokens} tokens in a step, found {count}")
        return whole.padded(-count % layout.tokens)

    def check(self, whole: Piece, vision_masks: Any, chunk: int | None, first: str) -> None:
        """Return if the model takes all these tokens.

        Raises:
            UsageError: another batch, no room for so many, a chunk below 1, or codes for a model that has none.
            RunnerError: an id that the model does not have.
        """
        layout, count = self.layouts[first], whole.batch
        if layout.batch not in {None, count}:
            raise UsageError(
                f"expected a batch of {layout.batch}, as the model was converted for, found {count}; "
                f"convert it with --batch {count} or --batch dynamic"
            )
        if chunk is not None:
            check_count("chunk", chunk)
        if layout.has_codes != (vision_masks is not None):
            wanted = f"{CODES} beside the ids, for the model has codes" if layout.has_codes else f"no {CODES}"
            raise UsageError(f"expected {wanted}, found {'none' if layout.has_codes else 'some'}")
        if whole.name == layout.takes:
            check_inputs((self._tokens[first],), {whole.name: whole.tokens})
        if layout.positions is not None and whole.end > layout.positions:
            raise UsageError(
                f"expected at most {layout.positions} tokens, padding included (max_sequence_length), found {whole.end}"
            )
        for phase, piece in self.pieces(whole, chunk, first):
            self._check_form(phase, piece, first, whole.end)
            self._check_piece(phase, piece, whole.end)

    def _check_form(self, phase: str, piece: Piece, first: str, end: int) -> None:
        """Return if a phase takes tokens in the form in which they come; a decode may take another than its prefill."""
        layout = self.layouts[phase]
        if piece.name == layout.takes:
            return
        if phase != first and self.layouts[first].takes == piece.name:
            raise UsageError(
                f"expected at most {self.layouts[first].tokens} tokens as {piece.name}, as many as the prefill takes, "
                f"found {end}; convert again with a longer --sequence"
            )
        raise UsageError(f"expected {layout.takes}, which the {phase} of this model takes, found {piece.name}")

    def _check_piece(self, phase: str, piece: Piece, end: int) -> None:
        layout = self.layouts[phase]
        if layout.slots is not None and piece.held + (layout.tokens or piece.count) > layout.slots:
            raise UsageError(
                f"expected at most {layout.slots} tokens, as many as the cache has slots, found {end}; "
                "convert again with a longer --max-length"
            )
        if layout.alone is not None and not piece.is_alike(codes=layout.alone):
            wanted, found = ("a code", "a word") if layout.alone else ("a word", "a code")
            raise UsageError(
                f"expected {wanted} as token {piece.held}, found {found}; "
                f"this model treats a single token as {wanted}; "
                "convert again with a longer --sequence, or with --sample-mode all"
            )


def _any_length(signature: Signature, layout: Layout) -> TensorSpec:
    """Return the input for new tokens of a phase, for any number of them."""
    spec = next(spec for spec in signature.inputs if spec.name == layout.takes)
    return replace(
        spec, shape=("batch", "tokens", *spec.shape[2:]), dtype="int64" if layout.takes == IDS else spec.dtype
    )
