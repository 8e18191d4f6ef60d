"""A session goes on from a prompt: token after token, guided or not, as the family's mode says."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing, Draw, chosen, draw_by_seed
from lwmport.generation.guesses import Guesses, keys_of
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


class TakesBack(Continues, Protocol):
    """What guesses need of a session besides."""

    @property
    def length(self) -> int:
        """How many tokens of each sequence are held."""

    @property
    def at_once(self) -> int | None:
        """How many tokens of a sequence one run takes behind others; None for any number."""

    def truncate(self, length: int) -> None:
        """Keep the first tokens."""


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


def new_tokens(
    session: Continues, prompt: Prompt, wish: Wish, draw: Draw | None = None, guesses: Guesses | None = None
) -> Generator[Array, None, None]:
    """Yield the new tokens of all rows, int64 [rows], one step after another.

    With guidance both halves get the same tokens. A finished row goes on with its stop token. The last token is not
    fed to the model: whoever goes on feeds it first.

    Args:
        session: an open one. It holds the prompt and all tokens but the last afterwards.
        prompt: the tokens so far.
        wish: how many, and how they are chosen.
        draw: what draws; None for numbers by the seed of ``wish.choosing``.
        guesses: what guesses tokens, which are checked several in one run; None for nothing. The tokens are the same,
            but for logits that are so near that the order of a sum decides.

    Raises:
        UsageError: guidance with an odd number of rows, an output that the model does not have, or guesses for what
            checks none.
    """
    if not wish.count:
        return
    rows = len(prompt.ids)
    if wish.guidance is not None and rows % 2:
        raise UsageError(
            f"expected an even number of rows with guidance, the second half without a prompt, found {rows}"
        )
    guesses = _begun(guesses, session, prompt, wish)
    draw = draw or draw_by_seed(wish.choosing.seed)
    ids, done = np.zeros(rows, np.int64), np.zeros(rows, bool)
    found, guess, step = _first(session, prompt, wish), ids[:0], 0
    while True:
        left = len(guess)
        try:
            for place in range(len(guess) + 1):
                own = {name: array[:, place : place + 1] for name, array in found.items()}
                ids = np.where(done, ids, _next(own, step, wish, draw))
                done |= np.isin(ids, sorted(wish.stop))
                left, step = len(guess) - place, step + 1
                yield ids
                if done.all() or step == wish.count:
                    return
                guesses.add(int(ids[0]))
                if place < len(guess) and guess[place] != ids[0]:
                    break
        finally:
            _take_back(session, left)
            guesses.checked(len(guess) - left, len(guess))
        guess = guesses.guess(wish.count - step - 1)
        found = _step(session, prompt, wish, np.concatenate([ids[:, None], guess[None].repeat(rows, axis=0)], axis=1))


def check_guessed(session: Any, name: str) -> None:
    """Return if the model of a session checks guesses: several tokens in one run.

    Raises:
        UsageError: it takes them one by one, or in a fixed number.
    """
    if session.at_once is not None:
        raise UsageError(
            f"expected a model that takes any number of tokens at once for {name}, found one that takes "
            f"{session.at_once}; leave {name} out"
        )


def _begun(guesses: Guesses | None, session: Any, prompt: Prompt, wish: Wish) -> Guesses:
    """Return what guesses tokens, which knows the prompt.

    Raises:
        UsageError: there are several rows, or the model checks no guesses.
    """
    if guesses is None:
        return Guesses()
    if len(prompt.ids) > 1:
        raise UsageError(f"expected one row for {guesses.name}, found {len(prompt.ids)}; leave {guesses.name} out")
    check_guessed(session, guesses.name)
    codes, mask = (None if array is None else array[0] for array in (prompt.codes, prompt.mask))
    by_seed = draw_by_seed(wish.choosing.seed)
    guesses.begin(
        keys_of(prompt.ids[0], codes, mask),
        held=session.length if prompt.goes_on else 0,
        kind=wish.mode.codes,
        choose=lambda found, step: _next(found, step, wish, by_seed),
        chunk=wish.chunk,
    )
    return guesses


def _first(session: Continues, prompt: Prompt, wish: Wish) -> dict[str, Array]:
    """Return the outputs for the last token of the prompts."""
    if prompt.goes_on:
        return session.step(prompt.ids, prompt.codes, wish.chunk, keep=1)
    return session.prefill(prompt.ids, prompt.mask, prompt.codes, wish.chunk)


def _step(session: Continues, prompt: Prompt, wish: Wish, ids: Array) -> dict[str, Array]:
    """Return the outputs for new tokens [rows, n]."""
    codes = None if prompt.codes is None else np.full(ids.shape, wish.mode.codes)
    return session.step(ids, codes, None, keep=ids.shape[1])


def _take_back(session: Any, count: int) -> None:
    """Drop the last tokens, of a session that is still open."""
    if count and session.length > count:
        session.truncate(session.length - count)


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
