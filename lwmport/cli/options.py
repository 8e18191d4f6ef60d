"""The options of `lwmport.options` on the command line."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from lwmport.cli.completion import Completer, files, names
from lwmport.options import DYNAMIC, OPTIONS, Kind, Option, Place, of_place

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Batch(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A batch: a number of at least 1, or ``dynamic``."""

    name = "batch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or the word."""
        if isinstance(value, int) or value == DYNAMIC:
            return value  # type: ignore[no-any-return]
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"expected a number of at least 1 or {DYNAMIC!r}, found {value!r}", param, ctx)
        return int(value)


TYPES: Final[Mapping[Kind, Callable[[Option], Any]]] = {
    Kind.TEXT: lambda _: click.STRING,
    Kind.TEXTS: lambda _: click.STRING,
    Kind.CHOICE: lambda option: click.Choice(option.choices, case_sensitive=False),
    Kind.AMOUNT: lambda _: click.FLOAT,
    Kind.NUMBER: lambda option: click.IntRange(option.least),
    Kind.BATCH: lambda _: Batch(),
    Kind.PATH: lambda _: click.Path(path_type=Path),
    Kind.FOLDER: lambda _: click.Path(path_type=Path, file_okay=False),
    Kind.SWITCH: lambda _: click.BOOL,
    Kind.FLAG: lambda _: click.BOOL,
}
"""Kind of a value -> click's type of it."""


def options_of(command: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds every option of a command; each becomes an argument named after its key."""

    def add(function: _Command) -> _Command:
        for option in reversed(OPTIONS):
            if command in option.commands:
                function = _decorator(option, command)(function)
        return function

    return add


def shared(*keys: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds options, by their keys, to a command that has others of its own."""

    def add(function: _Command) -> _Command:
        for option in reversed(OPTIONS):
            if option.key in keys:
                function = _decorator(option, "")(function)
        return function

    return add


JUDGED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "reference": click.option(
        "--reference",
        shell_complete=files,
        default="jax",
        show_default=True,
        metavar="jax|PATH",
        help="The reference: jax, or the path of another model.",
    ),
    "runner": click.option(
        "--runner",
        shell_complete=names("runner"),
        metavar="NAME",
        help="The runner of the model: see 'lwmport list'. By default its suffix decides.",
    ),
    "checkpoint": click.option(
        "--checkpoint",
        shell_complete=files,
        help="The checkpoint that was converted. Weights made from a seed need none.",
    ),
    "out": click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        help="The folder for a report. By default no report is written.",
    ),
}
"""Key -> an option of the commands that judge a model."""


def judged(key: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds an option of the commands that judge a model."""
    return JUDGED[key]


def taken(values: dict[str, Any], place: Place, *only: str) -> dict[str, Any]:
    """Return field -> value of the options of one record, which are taken out of a command's arguments.

    ``only`` are the keys that are taken; without any, all are.
    """
    wanted = only or tuple(values)
    return {option.name: values.pop(option.key) for option in of_place(place) if option.key in wanted}


def _decorator(option: Option, command: str) -> Callable[[_Command], _Command]:
    word = f"{option.flag}/{option.off}" if option.kind is Kind.SWITCH else option.flag
    found: Callable[[_Command], _Command] = click.option(
        word,
        option.key,
        type=TYPES[option.kind](option),
        **({"required": True} if command in option.required else {"default": option.default}),
        multiple=option.kind is Kind.TEXTS,
        is_flag=option.kind in (Kind.SWITCH, Kind.FLAG),
        show_default=option.kind not in (Kind.SWITCH, Kind.FLAG) and option.default not in (None, "", ()),
        metavar=option.form or None,
        shell_complete=_completer(option),
        help=option.help_of(command),
    )
    return found


def _completer(option: Option) -> Completer | None:
    """Return what completes a value; None where the type of the value knows, or nobody does."""
    if option.choices and option.kind is not Kind.CHOICE:
        return names(option.name, *option.choices)
    if option.name == "checkpoint":
        return files
    return names(option.name) if option.kind is Kind.TEXT else None
