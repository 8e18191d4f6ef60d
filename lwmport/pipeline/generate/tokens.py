"""Raw generation: the tokens of a file continued by a converted model, and written."""

import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lwmport import atomic, manifest
from lwmport.errors import UsageError
from lwmport.generation.choosing import Draw
from lwmport.generation.guesses import Guessed
from lwmport.generation.tokens import Prompt, Wish, check_room, new_tokens
from lwmport.models.spec import FamilySpec, GenerationMode
from lwmport.models.specs import family_of
from lwmport.pipeline.generate.guessing import open_guesses
from lwmport.pipeline.generate.request import GenerateRequest
from lwmport.pipeline.observer import Observer, Silent, tell_steps
from lwmport.pipeline.output_checks import check_free, check_writable
from lwmport.pipeline.ring.opening import ring_parts
from lwmport.pipeline.ring.session import LOCAL, ring_session
from lwmport.pipeline.session import Session
from lwmport.registry import check_known, load
from lwmport.requests import by_fields
from lwmport.runtime.given.arrays import read_arrays
from lwmport.runtime.ring.leading import RingSession
from lwmport.runtime.session.layout import CODES, IDS, MASK
from lwmport.types import Array
from lwmport.wording import few

TOKENS: Final = "tokens"
"""The array of a file of results, which has no other."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What was generated.

    Attributes:
        out: the file.
        tokens: int64 [rows, new tokens]; fewer than asked for where all rows were finished.
        runner: the runtime that ran the model.
        prefill_seconds: until the first token was chosen.
        seconds: from then on until the last one.
        guessed: what became of guesses; None where nothing was guessed.
    """

    out: Path
    tokens: Array
    runner: str
    prefill_seconds: float
    seconds: float
    guessed: Guessed | None = None

    @property
    def rate(self) -> float | None:
        """New tokens of each row in a second, without the first; None where there was only one."""
        return (self.tokens.shape[1] - 1) / self.seconds if self.tokens.shape[1] > 1 and self.seconds else None


@by_fields(GenerateRequest)
def generate(request: GenerateRequest, observer: Observer | None = None) -> Generated:
    """Return the tokens that a model adds to the prompts of a file, and write them.

    Raises:
        ArtifactError: there is no language model in the folder, whole or in parts.
        LostRankError: a process of a ring is gone.
        RunnerError: the runtime refuses the model, or an id that it does not have.
        UsageError: the prompts do not fit the model, or an unknown mode.
    """
    observer = observer or Silent()
    family = family_of(manifest.read(request.model).family)
    wish = Wish(
        count=request.new_tokens,
        mode=mode_of(family, request.mode),
        choosing=request.choosing,
        guidance=request.cfg_scale,
        stop=frozenset(request.stop),
        chunk=request.chunk,
    )
    prompt = read_prompt(request.prompt)
    draw = own_draws(family, request.seed) if request.own_random else None
    check_free(request.out, _is_ours)
    check_writable(request.out.parent)
    observer.phase(f"open {request.model}")
    with opened(request) as session, ExitStack() as stack:
        check_room(session, prompt.ids.shape[1], wish.count)
        guesses = None
        if isinstance(session, Session):
            guesses = open_guesses(request.guessing, session, wish.mode, threads=request.threads)
        if guesses is not None:
            stack.callback(guesses.close)
        observer.phase(f"prefill of {prompt.ids.shape[1]} tokens, then {request.new_tokens} new ones")
        started, times, found = time.perf_counter(), [], []
        for ids in new_tokens(session, prompt, wish, draw, guesses):
            times.append(time.perf_counter())
            found.append(ids)
            tell_steps(observer, "tokens", len(found), request.new_tokens)
        name = session.runner
    made = np.stack(found, axis=1)
    with atomic.new_file(request.out) as file:
        np.savez(file, tokens=made)
    return Generated(
        out=request.out,
        tokens=made,
        runner=name,
        prefill_seconds=times[0] - started,
        seconds=times[-1] - times[0],
        guessed=None if guesses is None else guesses.guessed,
    )


def opened(request: GenerateRequest) -> AbstractContextManager[Session | RingSession]:
    """Return what runs the model: all of it in this process, or its parts in a ring.

    Raises:
        ArtifactError: ranks for a model in one piece, or another fault of the folder.
        UsageError: a checkpoint or guesses for a model in parts.
    """
    made = manifest.read(request.model)
    if ring_parts(made) is None and request.ranks is None and request.on == LOCAL:
        if request.address:
            raise UsageError(f"expected an address with --on ray alone, found {request.address}")
        return Session(request.model, runner=request.runner, threads=request.threads, checkpoint=request.checkpoint)
    if guesser := request.guessing.name:
        raise UsageError(f"expected no {guesser} in a ring of ranks, found one; leave it out")
    if request.checkpoint is not None:
        raise UsageError(f"expected no checkpoint for a model in parts, found {request.checkpoint}; leave it out")
    return ring_session(
        request.model,
        ranks=request.ranks,
        backend=request.ring_backend,
        seconds=request.rank_seconds,
        on=request.on,
        address=request.address,
        runner=request.runner,
        threads=request.threads,
    )


def mode_of(family: FamilySpec, name: str) -> GenerationMode:
    """Return a mode of a family; the usual one where none is named.

    Raises:
        UsageError: the family has no such mode, or none at all.
    """
    if not family.modes:
        raise UsageError(f"expected a language model, found one of {family.name}, which generates no tokens")
    if name:
        check_known("mode", name, family.modes)
    return family.modes[name or next(iter(family.modes))]


def own_draws(family: FamilySpec, seed: int) -> Draw:
    """Return what draws as the family's own scripts do.

    Raises:
        UsageError: it has no scripts that draw.
    """
    if not family.draws:
        raise UsageError(f"expected a family whose own draws are known, found {family.name}; leave it out")
    made: Draw = load(family.draws)(seed)
    return made


def _is_ours(path: Path) -> bool:
    try:
        return set(read_arrays(path)) == {TOKENS}
    except UsageError:
        return False


def read_prompt(path: Path) -> Prompt:
    """Return the prompts of a .npz.

    Raises:
        UsageError: it is no .npz of these arrays, or they are of another kind.
    """
    arrays = read_arrays(path)
    strange = sorted(set(arrays) - {IDS, MASK, CODES})
    if IDS not in arrays or strange:
        raise UsageError(f"{path}: expected {IDS}, and where needed {MASK} and {CODES}, found {few(sorted(arrays))}")
    ids, codes = arrays[IDS], arrays.get(CODES)
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size:
        raise UsageError(f"{path}: expected {IDS} as integers [rows, n], found {ids.dtype}{list(ids.shape)}")
    return Prompt(ids=ids, mask=arrays.get(MASK), codes=None if codes is None else codes.astype(bool))
