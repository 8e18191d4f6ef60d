"""Tokens in, logits out: a session keeps the cache, the masks and the positions of a language model."""

import copy
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from lwmport.errors import RunnerError, UsageError
from lwmport.runtime.session.backend import Backend
from lwmport.runtime.session.layout import IDS, empty_states
from lwmport.runtime.session.phases import Phases
from lwmport.runtime.session.piece import Piece, check_count, continuation, inputs_of, prompt
from lwmport.types import DECODE, PREFILL, Array, Signature


class TokenSession:
    """Sequences that a language model continues. A ``with`` block closes the model.

    Args:
        backend: runs the phases and keeps the states.
        parts: phase -> (name of its component, its signature); without a prefill the decode does its work.

    Attributes:
        watch: is called before each run of the model. What it raises ends a prefill or a step between two pieces.

    Raises:
        ArtifactError: a component is no whole language model.
    """

    def __init__(self, backend: Backend, parts: Mapping[str, tuple[str, Signature]]) -> None:
        self._backend = backend
        self._phases = Phases(parts)
        self.watch: Callable[[], None] = lambda: None
        self.reset()

    @property
    def runner(self) -> str:
        """The name of the runtime."""
        return self._backend.name

    @property
    def has_codes(self) -> bool:
        """Whether the model is told which tokens are codes."""
        return self._phases.layouts[PREFILL].has_codes

    @property
    def takes_ids(self) -> bool:
        """Whether it takes ids of tokens in every phase, and no embeddings."""
        return all(layout.takes == IDS for layout in self._phases.layouts.values())

    @property
    def largest_id(self) -> int | None:
        """The largest id of a token that it takes; None for any."""
        given = {spec.name: spec for spec in self._phases.signatures[PREFILL].inputs}
        limits = given[IDS].value_range if IDS in given else None
        return None if limits is None else int(limits[1])

    @property
    def tells_kinds(self) -> bool:
        """Whether a token that is run alone is taken for a word, or for a code, whatever it is told."""
        return self._phases.layouts[DECODE].alone is not None

    @property
    def vocabularies(self) -> dict[str, int]:
        """How many tokens each output has logits for."""
        signature = self._phases.signatures[DECODE]
        return {spec.name: int(spec.shape[-1]) for spec in signature.outputs if spec.name not in signature.caches}

    @property
    def rows(self) -> int | None:
        """How many sequences it takes at once; None for any number."""
        return self._phases.layouts[PREFILL].batch

    @property
    def width(self) -> int:
        """What the number of tokens of a step is a multiple of."""
        layout = self._phases.layouts[DECODE]
        return layout.tokens if layout.tokens is not None and layout.slots is None else 1

    @property
    def room(self) -> int | None:
        """How many tokens of a sequence it takes, as far as its signatures tell; None for any number."""
        layouts = self._phases.layouts.values()
        told = [size for layout in layouts for size in (layout.positions, None if layout.starts else layout.slots)]
        return min((size for size in told if size is not None), default=None)

    @property
    def batch(self) -> int:
        """How many sequences are held; 0 before a prefill."""
        return len(self._mask)

    @property
    def length(self) -> int:
        """How many tokens of each sequence the cache holds, padding included."""
        return int(self._mask.shape[1])

    @property
    def limit(self) -> int | None:
        """How many tokens of each sequence there is room for, padding included; None where nothing says so."""
        layout = self._phases.layouts[DECODE]
        return min((size for size in (layout.slots, layout.positions) if size is not None), default=None)

    def reset(self) -> None:
        """Drop every token that is held."""
        self._held: Any = None
        self._mask: Array = np.zeros((0, 0), np.int64)

    @property
    def at_once(self) -> int | None:
        """How many tokens of a sequence one run of the model takes behind others; None for any number."""
        return self._phases.layouts[DECODE].tokens

    def truncate(self, length: int) -> None:
        """Keep the first ``length`` tokens of each sequence, padding included, and drop those behind them.

        Raises:
            UsageError: so many are not held, or nothing but padding would stay of a sequence.
            RunnerError: the model is closed.
        """
        self._check_open()
        check_count("length", length)
        mask = self._mask[:, :length]
        if length > self.length or not mask.any(axis=1).all():
            least = int(self._mask.argmax(axis=1).max()) + 1 if self.length else 0
            raise UsageError(f"expected a length from {least} to {self.length}, which are held, found {length}")
        if length < self.length:
            self._held, self._mask = self._backend.cut(self._held, length), mask

    def fork(self) -> Self:
        """Return a session that goes on from the same tokens by itself; both use the same opened model.

        Raises:
            RunnerError: the model is closed.
        """
        self._check_open()
        other = copy.copy(self)
        if self._held is not None:
            other._held = self._backend.copy(self._held)  # noqa: SLF001 - of the same class
        return other

    def close(self) -> None:
        """Drop every token, and give back what the opened model holds. A second call does nothing.

        Forks use the same model: to close one session closes all forks of it, and the one that it was forked from.
        """
        self.reset()
        self._backend.close()

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the model."""
        self.close()

    def prefill(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        vision_masks: Any = None,
        chunk: int | None = None,
        *,
        inputs_embeds: Any = None,
        keep: int | None = 1,
    ) -> dict[str, Array]:
        """Return the outputs for the last token of each prompt; what was held before is dropped.

        Args:
            input_ids: integers [batch, n]; None where the model takes ``inputs_embeds``.
            attention_mask: integers [batch, n], 0 where a token is padding, which is on the left; None for no padding.
            vision_masks: booleans [batch, n], true where an id is a code; needed by a model that has codes.
            chunk: how many tokens to run at once, where the model leaves it open; None for all.
            inputs_embeds: floats [batch, n, width] in the place of ids, for a model that takes them.
            keep: how many of the last tokens to return outputs for; None for all. Those of padding mean nothing.

        Returns:
            Every output that is no state: ``logits`` float32 [batch, keep, vocabulary], or ``text_logits`` and
            ``vision_logits``.

        Raises:
            UsageError: the tokens do not fit the model: their number, the batch, the mask.
            RunnerError: an id that the model does not have, the runtime failed, or the model is closed.
        """
        self._check_open()
        asked = prompt(input_ids, attention_mask, vision_masks, inputs_embeds)
        kept = _kept(keep, asked)
        whole = self._phases.filled_up(asked, PREFILL)
        self._phases.check(whole, vision_masks, chunk, PREFILL)
        self.reset()
        if not self._phases.layouts[PREFILL].starts:
            self._held = self._backend.hold(empty_states(self._phases.signatures[PREFILL], whole.batch))
        return self._feed(whole, chunk, kept, PREFILL)

    def step(
        self,
        input_ids: Any = None,
        vision_masks: Any = None,
        chunk: int | None = None,
        *,
        inputs_embeds: Any = None,
        keep: int | None = None,
    ) -> dict[str, Array]:
        """Return the outputs for new tokens behind those that are held.

        Args:
            input_ids: integers [batch, n], usually one token of each sequence, or None as in `prefill`.
            vision_masks: booleans [batch, n], as in `prefill`.
            chunk: as in `prefill`.
            inputs_embeds: as in `prefill`; a model of a prefill and a decode takes ids here all the same.
            keep: how many of the last tokens to return outputs for; None for all.

        Returns:
            Every output that is no state, float32 [batch, n or keep, vocabulary].

        Raises:
            UsageError: nothing is held, or the tokens do not fit the model or the batch.
            RunnerError: an id that the model does not have, the runtime failed, or the model is closed.
        """
        self._check_open()
        if not self.batch:
            raise UsageError("expected a prefill before the first step, found none; call prefill with the prompt")
        asked = continuation(input_ids, vision_masks, self._mask, inputs_embeds)
        whole = self._phases.filled_up(asked, DECODE)
        kept = _kept(keep, whole)
        self._phases.check(whole, vision_masks, chunk, DECODE)
        return self._feed(whole, chunk, kept, DECODE)

    def _check_open(self) -> None:
        if self._backend.closed:
            raise RunnerError(f"expected an open model in {self.runner}, found a closed one; open the session again")

    def _feed(self, whole: Piece, chunk: int | None, keep: int, first: str) -> dict[str, Array]:
        """Run all tokens and return the outputs for the last ``keep``."""
        phases, found = self._phases, dict[str, Array]()
        for phase, piece in phases.pieces(whole, chunk, first):
            self.watch()
            inputs = inputs_of(phases.signatures[phase], phases.layouts[phase], piece)
            results, self._held = self._backend.run(phases.models[phase], inputs, self._held)
            self._mask = piece.mask
            for name, array in results.items():
                before = [found[name]] if name in found else []
                found[name] = np.concatenate([*before, array[:, : piece.count]], axis=1)[:, -keep:]
        return found


def _kept(keep: int | None, piece: Piece) -> int:
    """Return for how many tokens outputs are returned."""
    if keep is None:
        return piece.count
    check_count("keep", keep)
    return keep
