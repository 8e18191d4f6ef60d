"""Options that several commands share: which model, which part of it, and how it is cut out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
SIZE: Final = click.IntRange(1)
MODEL: Final = (
    *("settings", "precision", "store", "layer", "sample_mode", "attention", "query_chunk", "key_chunk", "ring"),
    *("sequence", "max_length"),
)
"""Options of `lwmport.models.options.Options`."""


class Batch(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A batch: a number of at least 1, or ``dynamic``."""

    name = "batch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or the word."""
        if isinstance(value, int) or value == "dynamic":
            return value  # type: ignore[no-any-return]
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"expected a number of at least 1 or 'dynamic', found {value!r}", param, ctx)
        return int(value)


def weights_options(command: _Command) -> _Command:
    """Add checkpoint, configuration, batch, seed and folder."""
    return _with(
        command,
        click.option("--checkpoint", help="LWM's weights; seeded ones are used, and named as such, without it."),
        click.option(
            "--config", default="lwm", show_default=True, metavar="NAME|FILE.json", help="LWM's model configuration."
        ),
        click.option("--batch", type=Batch(), default=1, show_default=True, metavar="N|dynamic", help="Items a run."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the weights, if seeded."),
        click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out"), show_default=True),
    )


def model_options(command: _Command) -> _Command:
    """Add `MODEL`."""
    return _with(
        command,
        click.option(
            "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a field of the configuration."
        ),
        click.option("--precision", default="float32", show_default=True, help="What weights and results are kept in."),
        click.option(
            "--store", default="", help="What weights are stored as: float16. What is computed stays float32."
        ),
        click.option(
            "--layer",
            type=click.IntRange(0),
            metavar="N",
            help="Which layer, for a component that is one layer; the first by default.",
        ),
        click.option("--sample-mode", help="Heads of a vision-language model: text, vision or all."),
        click.option("--attention", default="", help="fused, loop or unrolled; the dialect says by default."),
        click.option("--query-chunk", type=SIZE, metavar="N", help="Queries in a block of attention."),
        click.option("--key-chunk", type=SIZE, metavar="N", help="Keys in a block of attention."),
        click.option("--ring", type=SIZE, default=1, show_default=True, help="Ranks of an unrolled ring."),
        click.option(
            "--sequence", type=SIZE, metavar="N", help="Tokens fed at once: any, or 128 where sizes are static."
        ),
        click.option(
            "--max-length", type=SIZE, metavar="N", help="Tokens that a static cache holds: 2048 or all positions."
        ),
    )


def taken(options: dict[str, Any]) -> Any:
    """Return the `lwmport.models.options.Options` among a command's options, which are taken out of them."""
    from lwmport.models.options import Options

    return Options(**{name: options.pop(name) for name in MODEL})


def _with(command: _Command, *options: Callable[[Any], Any]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command
