"""Commands that understand the flags of the scripts of a model's makers, where users paste them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from lwmport.errors import UsageError
from lwmport.registry import load
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.models.script_flags import ScriptFlag


class ScriptCommand(click.Command):
    """A command that takes such flags beside its own: each becomes an option of its own, or is left out with a line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        own = {word for param in self.params for word in (*param.opts, *param.secondary_opts)}
        return super().parse_args(ctx, list(_translated(self.name or "", args, own)))


def _translated(command: str, args: Sequence[str], own: set[str]) -> Iterator[str]:
    """Yield the words that our options are read from; arguments that flags became stand at the end."""
    words, arguments = iter(args), list[str]()
    for word in words:
        typed, given, value = word.partition("=")
        flag = None if typed in own or not typed.startswith("--") else _flag(command, typed[2:].replace("-", "_"))
        if word == "--":
            arguments = [*words, *arguments]
        elif flag is None:
            yield word
        elif flag.argument:
            arguments.extend(_words(typed, value if given else next(words, ""), flag))
        else:
            yield from _words(typed, value if given else next(words, ""), flag)
    if arguments:
        yield from ("--", *arguments)


def _words(typed: str, value: str, flag: "ScriptFlag") -> list[str]:
    if flag.words is None:
        click.echo(printable(f"{typed} {value}: left out; {flag.remark}"), err=True)
        return []
    try:
        return flag.words(value)
    except UsageError as error:
        raise UsageError(f"{typed}: {error}") from error


def _flag(command: str, name: str) -> "ScriptFlag | None":
    from lwmport.models.specs import FAMILIES

    for family in FAMILIES.values():
        found: ScriptFlag | None = load(family.script_flags)(command, name) if family.script_flags else None
        if found is not None:
            return found
    return None
