"""What ``--help`` of a command says: a sentence of each option, and the default of each that has one."""

from collections.abc import Iterator

import click
import pytest

from lwmport.cli.main import cli


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Yield the words and the command of every command, those of groups included."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


COMMANDS = dict(commands(cli))
OPTIONS = [
    pytest.param(option, id=f"{name} {option.opts[0]}")
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option)
]


def test_every_command_is_tried() -> None:
    assert {"convert", "port", "check", "checkpoint make", "verify"} <= set(COMMANDS)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_has_a_help_of_whole_sentences(option: click.Option) -> None:
    said = option.help or ""
    assert said[:1].isupper()
    assert said.endswith(".")
    for word in ("Whose", "Whom", "Of ", "What "):
        assert not said.startswith(word), "the subject first"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=str)
def test_a_command_has_a_help(command: click.Command) -> None:
    assert (command.help or "").split("\n")[0].endswith(".")
    assert (command.short_help or "").endswith(".")
