"""The options that say how tokens are drawn, of every command that generates."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def drawing(temperature: float, top_k: int | None) -> Callable[[_Command], _Command]:
    """Return a decorator that adds these options; ``top_k`` None is the number of the model's makers."""
    largest: dict[str, Any] = {
        "default": top_k,
        "show_default": True,
        "help": "How many of the largest logits stay; 0 for all.",
    }
    if top_k is None:
        largest = {"type": click.IntRange(1), "help": "How many of the largest logits stay. By default LWM's number."}
    options = (
        click.option(
            "--temperature",
            default=temperature,
            show_default=True,
            help="The number that logits are divided by; 0 takes the largest one.",
        ),
        click.option("--top-k", **largest),
        click.option("--top-p", default=1.0, show_default=True, help="The probability that stays, at least."),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            help="The seed of what is drawn; it gives the same tokens on every runner.",
        ),
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


own_random = click.option(
    "--lwm-random", "own_random", is_flag=True, help="Draw as LWM's own scripts do. It needs JAX."
)
