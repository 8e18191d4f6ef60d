"""What guesses tokens for a model: nothing, the text so far, or a smaller model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.errors import UsageError
from lwmport.generation.draft import Draft
from lwmport.generation.guesses import Guesses
from lwmport.generation.lookup import Lookup
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import check_guessed
from lwmport.models.spec import GenerationMode
from lwmport.pipeline.assemble import package
from lwmport.pipeline.session import Session
from lwmport.requests import check_types

DRAFT_TOKENS: Final = 4
"""Tokens that a draft guesses at most, where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class Guessing:
    """How tokens are guessed.

    Attributes:
        lookup: tokens that are guessed at most from what was said before, and checked in one run; 0 for none.
        draft: a folder of ``assemble`` or ``convert`` with a smaller language model of the same vocabulary, which
            guesses; None for none.
        draft_tokens: tokens that it guesses at most.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    lookup: int = 0
    draft: Path | None = None
    draft_tokens: int = DRAFT_TOKENS

    def __post_init__(self) -> None:
        """Refuse types and values that no guess has."""
        check_types(self)
        if self.lookup < 0:
            raise UsageError(f"expected lookup of 0 or more tokens, found {self.lookup}")
        if self.draft_tokens < 1:
            raise UsageError(f"expected at least 1 token of a draft, found {self.draft_tokens}")
        if self.lookup and self.draft is not None:
            raise UsageError("expected lookup or a draft, found both; leave one out")
        if self.draft is None and self.draft_tokens != DRAFT_TOKENS:
            raise UsageError(f"expected a draft beside {self.draft_tokens} tokens of it, found none")

    @property
    def name(self) -> str:
        """What guesses; empty for nothing."""
        return Draft.name if self.draft is not None else Lookup.name if self.lookup else ""


def open_guesses(
    guessing: Guessing,
    session: Session,
    mode: GenerationMode,
    *,
    threads: int | None = None,
    tokenizer: Tokenizer | None = None,
) -> Guesses | None:
    """Return what guesses tokens for a session, to be closed; None for nothing.

    A draft runs in the usual runtime of its files, whatever runs the model.

    Args:
        guessing: how.
        session: of the model.
        mode: which of its outputs tokens are chosen from.
        threads: threads of the draft's runtime; None for one a processor.
        tokenizer: of the model, where it has one.

    Raises:
        ArtifactError: there is no language model in the draft's folder.
        RunnerError: the runtime refuses the draft.
        UsageError: the model checks no guesses, or the draft has another vocabulary.
    """
    if not guessing.name:
        return None
    check_guessed(session, guessing.name)
    if guessing.draft is None:
        return Lookup(guessing.lookup)
    folder = _language(guessing.draft, tokenizer)
    draft = Session(folder, threads=threads)
    try:
        _check_draft(draft, session, mode, guessing.draft)
    except UsageError:
        draft.close()
        raise
    return Draft(draft, guessing.draft_tokens)


def _language(folder: Path, tokenizer: Tokenizer | None) -> Path:
    """Return the folder of the language model.

    Raises:
        UsageError: there is none, or the draft has a tokenizer too, which is another one, or takes embeddings.
    """
    if not folder.is_dir():
        raise UsageError(f"expected a folder of assemble or convert for --draft, found none at {folder}")
    if not (folder / package.NAME).is_file():
        return folder
    opened = package.open_package(folder)
    if opened.embed is not None:
        raise UsageError(f"expected a draft that takes tokens in {folder}, found one that takes embeddings")
    if tokenizer is not None:
        own, others = tokenizer.vocabulary, Tokenizer(opened.tokenizer).vocabulary
        if own != others:
            raise UsageError(
                f"expected a draft with the model's tokenizer of {len(own):,} tokens in {opened.tokenizer}, found one "
                f"of {len(others):,}, of which {len(own.items() & others.items()):,} are the same"
            )
    return opened.language


def _check_draft(draft: Session, session: Session, mode: GenerationMode, folder: Path) -> None:
    """Return if a draft can guess for a session.

    Raises:
        UsageError: it cannot.
    """
    if mode.codes and not draft.has_codes:
        raise UsageError(f"expected a draft that makes codes in {folder}, found one of text alone")
    own, others = (_vocabulary(one, mode) for one in (session, draft))
    if own != others:
        raise UsageError(
            f"expected a draft with the model's vocabulary of {own:,} tokens in {folder}, found one of {others:,}"
        )
    if draft.has_codes and draft.largest_id != session.largest_id:
        raise UsageError(
            f"expected a draft that takes the model's ids, up to {session.largest_id}, in {folder}, found one that "
            f"takes them up to {draft.largest_id}"
        )
    if draft.has_codes and draft.tells_kinds:
        raise UsageError(
            f"expected a draft that makes text and codes in {folder}, found one that takes each token for one of them; "
            "convert it again with --sample-mode all"
        )
    if draft.width != 1 or not draft.takes_ids:
        takes = f"{draft.width} at once" if draft.takes_ids else "embeddings"
        raise UsageError(f"expected a draft that takes tokens in any number in {folder}, found one that takes {takes}")


def _vocabulary(session: Session, mode: GenerationMode) -> int:
    """Return how many tokens there are to choose from; 0 for no such output."""
    sizes = session.vocabularies
    return next((sizes[name] for name in mode.logits if name in sizes), 0)
