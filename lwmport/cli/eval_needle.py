"""``lwmport eval needle``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.eval_language import PATH, running
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.reports.evaluations.needle import Needle


class Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Whole numbers with commas between them."""

    def __init__(self, form: str, count: int) -> None:
        self.name = form
        self._count = count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        found = [part.strip() for part in str(value).split(",")]
        if len(found) != self._count or not all(part.isdecimal() for part in found):
            self.fail(f"expected {self.name} as whole numbers, found {value!r}", param, ctx)
        return tuple(map(int, found))


@click.command(short_help="Hide numbers in long texts, and ask a language model for them.")
@click.argument("model", type=PATH)
@click.option(
    "--haystack",
    type=PATH,
    metavar="F.jsonl",
    help="The texts: a .jsonl of {'text': ...}, or UTF-8. By default the text that comes with lwmport.",
)
@click.option(
    "--lengths",
    default="1000,32000,3",
    show_default=True,
    type=Numbers("MIN,MAX,N", 3),
    help="Tokens of the shortest and of the longest context, and how many lengths to try.",
)
@click.option("--depths", default=3, show_default=True, type=click.IntRange(1), help="How many depths to try.")
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1), help="How often to try each of them.")
@click.option(
    "--needles",
    default="1,1",
    show_default=True,
    type=Numbers("TOTAL,ASKED", 2),
    help="How many numbers are hidden, and how many of them are asked for.",
)
@click.option(
    "--new-tokens", default=64, show_default=True, type=click.IntRange(1), help="Tokens of an answer at most."
)
@click.option("--seed", default=1234, show_default=True, type=click.IntRange(0), help="The seed of the first round.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for needle.html, needle.json and results.json; an earlier run in it is gone on with.",
)
@running
def needle(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Hide numbers in texts of several lengths, at several depths, and ask MODEL for them.

    MODEL is a folder of 'lwmport assemble', or of 'lwmport convert' with --tokenizer. Texts, questions and result rows
    are those of LWM's needle test; lengths are counted in tokens of the model's own tokenizer. Each trial is written as
    it is made, and the same command goes on with those that are missing.

    Exit codes: 0 measured, 2 usage, 3 the model cannot be opened or run.
    """
    from lwmport.pipeline.evaluate.needle.request import NeedleRequest
    from lwmport.pipeline.evaluate.needle.run import needle as run
    from lwmport.reports.evaluations import needle as record

    with progress() as observer:
        found = run(NeedleRequest(**options), observer)
    if as_json:
        print_json(record.document(found))
        return 0
    _print(found)
    click.echo(f"page: {options['out'] / record.PAGE}")
    return 0


def _print(found: "Needle") -> None:
    click.echo(printable(f"{found.model}: {_percent(found.accuracy)} of the numbers in {len(found.results)} trials"))
    for name, value in found.settings.items():
        click.echo(printable(f"{name}: {value}"))
    click.echo("depth  " + "".join(f"{length:>10}" for length in found.lengths) + "  tokens")
    for depth in found.depths:
        shares = [found.cell(length, depth) for length in found.lengths]
        click.echo(f"{depth:>4} % " + "".join(f"{_percent(share):>10}" for share in shares))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
