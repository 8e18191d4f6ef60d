"""The options that say how tokens are guessed, of every command that makes texts."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lwmport.generation.guesses import Guessed

NAMES = ("lookup", "draft", "draft_tokens")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def guessing(command: _Command) -> _Command:
    """Return a command with these options."""
    for option in reversed(
        (
            click.option(
                "--lookup",
                default=0,
                show_default=True,
                type=click.IntRange(0),
                metavar="N",
                help="Tokens to guess at most from what was said before, and check in one run; the tokens stay the "
                "same.",
            ),
            click.option(
                "--draft",
                type=click.Path(path_type=Path),
                metavar="MODEL",
                help="A smaller model with the same vocabulary, which guesses tokens; the tokens stay the same.",
            ),
            click.option(
                "--draft-tokens",
                default=4,
                show_default=True,
                type=click.IntRange(1),
                metavar="N",
                help="Tokens that the draft guesses at most.",
            ),
        )
    ):
        command = option(command)
    return command


def facts_of(guessed: "Guessed | None") -> dict[str, Any]:
    """Return what became of guesses, for a document; nothing where nothing was guessed."""
    if guessed is None:
        return {}
    found = {"proposed": guessed.proposed, "accepted": guessed.accepted, "tokens_per_run": guessed.per_run}
    return {"guessed": found}


def words_of(guessed: "Guessed | None") -> str:
    """Return the same as a part of a sentence."""
    if guessed is None:
        return ""
    return f", {guessed.accepted} of {guessed.proposed} guessed tokens accepted, {guessed.per_run:.2f} tokens a run"
