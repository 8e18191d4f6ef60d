"""A session goes on from a prompt: token after token, guided or not, as the family's mode says."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing, Draw, chosen, draw_by_seed
from lwmport.models.spec import GenerationMode
from lwmport.types import Array


class Holds(Protocol):
    """What of a session says how many tokens it takes."""

    @property
    def limit(self) -> int | None:
        """How many tokens of each sequence there is room for, padding included; None where nothing says so."""


class Continues(Protocol):
    """What generation needs of a session: `lwmport.runtime.session.token_session.TokenSession` is one."""

    def prefill(self, input_ids: Any, attention_mask: Any, vision_masks: Any, chunk: int | None) -> dict[str, Array]:
        """Return outputs for the last token of each prompt, float32 [rows, 1, vocabulary] each."""

    def step(self, input_ids: Any, vision_masks: Any, chunk: int | None, *, keep: int | None) -> dict[str, Array]:
        """Return outputs for the last ``keep`` new tokens behind those that are held."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Prompts of one length.

    Attributes:
        ids: int64 [rows, n].
        mask: int64 [rows, n], 0 for padding, which is on the left; None for no padding.
        codes: bool [rows, n], true where an id is a code; None for a model without codes.
        goes_on: whether they stand behind what the session holds; there is no padding then.
    """

    ids: Array
    mask: Array | None = None
    codes: Array | None = None
    goes_on: bool = False


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted behind a prompt.

    Attributes:
        count: new tokens at most.
        mode: which output they are chosen from, and which of them are forced.
        choosing: how they are chosen.
        guidance: how far the logits of the first half of the rows are moved away from those of the second half:
            ``second + guidance * (first - second)`` (classifier-free guidance). None: each row for itself.
        limit: ids from here on are never chosen; 0 for none.
        stop: a row that ends with one of these is finished; the rows end together when all are.
        chunk: tokens of the prompt to run at once, where the model leaves it open.
    """

    count: int
    mode: GenerationMode
    choosing: Choosing = field(default_factory=Choosing)
    guidance: float | None = None
    limit: int = 0
    stop: frozenset[int] = frozenset()
    chunk: int | None = None


def check_room(session: Holds, prompt: int, count: int) -> None:
    """Return if a prompt and new tokens fit a session: what was made would be lost with the first that does not.

    The last new token is not fed.

    Raises:
        UsageError: they do not.
    """
    if session.limit is not None and prompt + count - 1 > session.limit:
        raise UsageError(
            f"expected at most {session.limit:,} tokens of prompt and answer together, padding included, as the model "
            f"has room for, found a prompt of {prompt:,} and {count:,} new ones"
        )


def new_tokens(session: Continues, prompt: Prompt, wish: Wish, draw: Draw | None = None) -> Iterator[Array]:
    """Yield the new tokens of all rows, int64 [rows], one step after another.

    With guidance both halves get the same tokens. A finished row goes on with its stop token. The last token is not
    fed to the model: whoever goes on feeds it first.

    Args:
        session: an open one. It holds the prompt and all tokens but the last afterwards.
        prompt: the tokens so far.
        wish: how many, and how they are chosen.
        draw: what draws; None for numbers by the seed of ``wish.choosing``.

    Raises:
        UsageError: guidance with an odd number of rows, or an output that the model does not have.
    """
    rows = len(prompt.ids)
    if wish.guidance is not None and rows % 2:
        raise UsageError(
            f"expected an even number of rows with guidance, the second half without a prompt, found {rows}"
        )
    draw = draw or draw_by_seed(wish.choosing.seed)
    codes = None if prompt.codes is None else np.full((rows, 1), wish.mode.codes)
    ids, done = np.zeros(rows, np.int64), np.zeros(rows, bool)
    for step in range(wish.count):
        if step:
            found = session.step(ids[:, None], codes, None, keep=1)
        elif prompt.goes_on:
            found = session.step(prompt.ids, prompt.codes, wish.chunk, keep=1)
        else:
            found = session.prefill(prompt.ids, prompt.mask, prompt.codes, wish.chunk)
        ids = np.where(done, ids, _next(found, step, wish, draw))
        done |= np.isin(ids, sorted(wish.stop))
        yield ids
        if done.all():
            return


def _next(found: dict[str, Array], step: int, wish: Wish, draw: Draw) -> Array:
    """Return the next token of each row."""
    mode = wish.mode
    logits = next((found[name] for name in mode.logits if name in found), None)
    if logits is None:
        raise UsageError(f"expected the output {' or '.join(mode.logits)} of the model, found {', '.join(found)}")
    last = logits[:, -1]
    if wish.guidance is not None:
        first, second = np.split(last, 2)
        last = second + np.float32(wish.guidance) * (first - second)
    ids = chosen(last[:, : wish.limit or None], step, wish.choosing, draw)
    if mode.every and (step + 1) % mode.every == 0:
        ids = np.full_like(ids, mode.forced)
    return ids if wish.guidance is None else np.concatenate([ids, ids])
