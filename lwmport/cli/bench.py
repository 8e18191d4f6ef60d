"""``lwmport bench``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.completion import names
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.reports.speed.record import Bench


class Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.isdecimal() and len(word) < 8 and int(word) for word in words):
            self.fail(f"expected whole numbers of at least 1 with commas between them, found {value!r}", param, ctx)
        return tuple(map(int, words))


@click.command(short_help="Measure how fast a model is here, for lengths and batches, until something says stop.")
@click.argument("model", shell_complete=names("component"))
@click.option(
    "--config", default="lwm", show_default=True, metavar="NAME|FILE.json", help="The configuration of a component."
)
@click.option("--input-lengths", type=Numbers(), default=(), metavar="N,N", help="Tokens of a prompt. By default 256.")
@click.option("--output-lengths", type=Numbers(), default=(), metavar="N,N", help="Tokens to generate. By default 64.")
@click.option(
    "--batch",
    "batches",
    type=Numbers(),
    default="1",
    metavar="N,N",
    help="Sequences or pictures at once. By default 1.",
)
@click.option("--ramp", is_flag=True, help="Double the largest batch until latency, memory or an error says stop.")
@click.option("--like", default="", metavar="mindie", help="A known ramp, which says lengths and batches.")
@click.option(
    "--warm-up",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Untimed runs of the same sizes before a row.",
)
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Timed runs of each row.")
@click.option(
    "--max-latency",
    type=click.IntRange(1),
    metavar="MS",
    help="Milliseconds of the p90 of the next token, or of a run, beyond which the batch is raised no more.",
)
@click.option("--max-memory", metavar="8GiB", help="The memory that a run may take. By default what is free.")
@click.option(
    "--max-seconds", type=click.IntRange(1), default=600, show_default=True, help="Seconds that a row may take."
)
@click.option("--runner", shell_complete=names("runner"), help="The runner. By default the usual one of the model.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the runtime. By default one a processor.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for bench.json, bench.csv and bench.html. Rows that are there already are not measured again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def bench(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Measure first token, next token and rate of a language model, or the runs of any other model.

    MODEL is a converted model, a folder of one, or a component, which is converted for any batch first. Each row runs
    in a process of its own with bounds; the first batch that fails ends its lengths, and rows so far are kept.

    Exit codes: 0 rows were measured, 2 usage, 3 none was, or the model cannot be opened.
    """
    from lwmport.pipeline.speed.request import BenchRequest
    from lwmport.pipeline.speed.run import bench as run
    from lwmport.reports.speed.files import document

    with progress() as observer:
        found = run(BenchRequest(**options), observer)
    if as_json:
        print_json(document(found, ""))
    else:
        _print(found)
        if options["out"] is not None:
            click.echo(f"page: {options['out'] / 'bench.html'}")
    return 0 if found.measured else 3


def _print(found: "Bench") -> None:
    from rich.console import Console
    from rich.table import Table

    from lwmport.reports import numbers

    def time(value: float | None) -> str:
        return "" if value is None else numbers.seconds(value)

    rows = Table("in", "out", "batch", "first token", "next p50", "next p99", "run p50", "a second", "memory", "status")
    for row in found.rows:
        rows.add_row(
            *(str(row.input or ""), str(row.output or ""), str(row.batch), time(row.first)),
            *(time(row.next.get("p50")), time(row.next.get("p99")), time(row.run.get("p50"))),
            "" if row.rate is None else numbers.number(row.rate),
            "" if row.peak_bytes is None else numbers.size(row.peak_bytes),
            row.status,
        )
    Console().print(rows)
    for name, value in found.facts.items():
        click.echo(printable(f"{name}: {value}"))
    for reason in dict.fromkeys(row.reason for row in found.rows if row.reason):
        click.echo(printable(reason))
    click.echo(printable(found.sentence))
