"""``lwmport completion``, and the values that a shell completes: names of all kinds, files beside them."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import click
from click.shell_completion import CompletionItem, get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_LWMPORT_COMPLETE"
"""What the script of a shell sets when it asks for values: click's own name for this program."""

PROGRAM: Final = "lwmport"

FIELDS: Final = {"to": "format"}
"""Argument of a command -> field of a request, where that has another name."""

Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(short_help="Print the script that completes names and values in a shell.")
@click.argument("shell", type=click.Choice(SHELLS, case_sensitive=False))
def completion(shell: str) -> None:
    """Print the script for SHELL, which completes commands, options and the values of options.

    For bash, put 'eval "$(lwmport completion bash)"' into ~/.bashrc. For zsh, put 'eval "$(lwmport completion zsh)"'
    into ~/.zshrc, behind compinit. For fish, write the script to ~/.config/fish/completions/lwmport.fish.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"expected a shell out of {', '.join(SHELLS)}, found {shell}")
    click.echo(kind(click.get_current_context().find_root().command, {}, PROGRAM, VARIABLE).source())


def names(field: str, *choices: str) -> Completer:
    """Return what completes the names that a field of a request takes, or these choices; files too for a configuration.

    What depends on another option, such as a chip on its target, is completed once that option is there.
    """

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in choices or _known(field, context.params) if _begins(name, incomplete)]
        return found + ([CompletionItem(incomplete, type="file")] if field == "config" else [])

    return complete


def models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete whole models, components, and files."""
    from lwmport.models.families import MODELS, NAMES

    found = [CompletionItem(name) for name in (*MODELS, *NAMES) if _begins(name, incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


def files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete files and folders, where the type of a value is a text."""
    return [CompletionItem(incomplete, type="file")]


def _known(field: str, given: dict[str, Any]) -> tuple[str, ...]:
    from lwmport.errors import PortError
    from lwmport.pipeline.names import named, words_of

    fields = {FIELDS.get(key, key): value for key, value in given.items() if isinstance(value, str)}
    try:
        words = words_of(field, named(fields))
    except PortError:  # a line in the middle of what somebody types helps nobody
        return ()
    return () if words is None else words.known


def _begins(name: str, incomplete: str) -> bool:
    return name.casefold().startswith(incomplete.casefold())
