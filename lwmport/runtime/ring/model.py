"""The parts of a language model, opened: what one rank runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lwmport.errors import UsageError
from lwmport.runtime.inputs import check_inputs
from lwmport.runtime.ring.running import Running
from lwmport.runtime.session.layout import CODES, IDS, MASK, POSITIONS
from lwmport.runtime.session.piece import Piece
from lwmport.types import Array, Runner, Signature


@dataclass(frozen=True, kw_only=True)
class RingModel:
    """One runner for each part (`lwmport.models.spec.RingParts`), those of a layer as many times as there are layers.

    Attributes:
        tokens: the signature of ``embed``, which says what ids there are.
        positions: tokens of a sequence that the model has positions for.
        heads_of: heads of queries and of keys, and the width of one.
        width: of states.
        dtype: what keys and values are held in.
        most: tokens that a part runs at once; None for any number.
    """

    embed: Runner
    heads: tuple[Runner, ...]
    step: Runner
    rest: tuple[Runner, ...]
    head: Runner
    tokens: Signature
    positions: int
    heads_of: tuple[int, int, int]
    width: int
    dtype: Any
    most: int | None = None

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return len(self.heads)

    @property
    def has_codes(self) -> bool:
        """Whether it is told which tokens are codes."""
        return any(spec.name == CODES for spec in self.tokens.inputs)

    @property
    def keys(self) -> tuple[int, int]:
        """Heads of keys, and the width of one."""
        return self.heads_of[1:]

    def queries(self, count: int) -> tuple[int, int, int]:
        """Return the shape of so many queries of one sequence."""
        heads, _, width = self.heads_of
        return heads, count, width

    def check(self, piece: Piece, vision_masks: Any) -> None:
        """Return if the model takes these tokens.

        Raises:
            RunnerError: another batch than it was converted for, or an id that the model does not have.
            UsageError: no room for so many, or codes for a model that has none.
        """
        if self.has_codes != (vision_masks is not None):
            wanted = f"{CODES} beside the ids, for the model has codes" if self.has_codes else f"no {CODES}"
            raise UsageError(f"expected {wanted}, found {'some' if vision_masks is not None else 'none'}")
        if piece.end > self.positions:
            raise UsageError(
                f"expected at most {self.positions} tokens, padding included (max_sequence_length), found {piece.end}"
            )
        for start in range(0, piece.count, self.most or piece.count):
            check_inputs(self.tokens.inputs, self._tokens(*self._whole(piece, start)))

    def embedded(self, ids: Array, codes: Array) -> Array:
        """Return the states [b, n, width] of tokens [b, n]."""
        return self._one(self.embed, self._tokens(ids, codes))

    def projected(self, layer: int, states: Array, positions: Array) -> tuple[Array, Array, Array]:
        """Return queries [b, h, n, d], keys and values of tokens in front of a layer."""
        found = self.heads[layer].run({"hidden_states": states, POSITIONS: positions})
        return found["query"], found["key"], found["value"]

    def seen(self, query: Array, state: Running, held: tuple[Array, Array], offsets: tuple[int, int]) -> Running:
        """Return the state of queries that have also seen some keys.

        Args:
            query: [b, h, q, d].
            state: before.
            held: keys and values [2, b, heads, k, d], and their mask [b, k].
            offsets: the places of the first query and of the first key.
        """
        block, mask = held
        for start in range(0, mask.shape[1], self.most or mask.shape[1]):
            end = start + (self.most or mask.shape[1])
            part = block[:, :, :, start:end], mask[:, start:end]
            state = self._seen(query, state, part, (offsets[0], offsets[1] + start))
        return state

    def _seen(self, query: Array, state: Running, held: tuple[Array, Array], offsets: tuple[int, int]) -> Running:
        key, value = (np.ascontiguousarray(part, np.float32) for part in held[0])
        mask, places = np.ascontiguousarray(held[1]), [np.asarray(place, np.int64) for place in offsets]
        given = {"query": query, "key": key, "value": value, MASK: mask, **state._asdict()}
        found = self.step.run({**given, "query_offset": places[0], "key_offset": places[1]})
        return Running(*(found[f"new_{name}"] for name in Running._fields))

    def behind(self, layer: int, states: Array, state: Running) -> Array:
        """Return the states behind a layer, of those in front of it and of what its queries have seen."""
        found = {"numerator": state.numerator, "denominator": state.denominator}
        return self._one(self.rest[layer], {"hidden_states": states, **found})

    def logits(self, states: Array) -> dict[str, Array]:
        """Return the outputs of the heads for states [b, n, width]."""
        return self.head.run({"hidden_states": states})

    def close(self) -> None:
        """Close every part."""
        for runner in (self.embed, *self.heads, self.step, *self.rest, self.head):
            runner.close()

    def _whole(self, piece: Piece, start: int) -> tuple[Array, Array]:
        """Return the ids and the codes of the tokens that run at once from one on."""
        end = start + (self.most or piece.count)
        more = max(end - piece.count, 0) if self.most else 0
        ids, codes = (np.pad(array[:, start:end], ((0, 0), (0, more))) for array in (piece.tokens, piece.codes))
        return ids, codes

    def _tokens(self, ids: Array, codes: Array) -> Mapping[str, Array]:
        values = {IDS: ids, CODES: codes}
        return {spec.name: np.ascontiguousarray(values[spec.name], spec.dtype) for spec in self.tokens.inputs}

    @staticmethod
    def _one(runner: Runner, inputs: Mapping[str, Array]) -> Array:
        (found,) = runner.run(inputs).values()
        return found
