"""``lwmport bisect``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lwmport.cli.completion import files
from lwmport.cli.junit import junit as told_as_junit
from lwmport.cli.options import judged, shared
from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress
from lwmport.verdicts import exit_code
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.reports.bisection import Bisection, First

SHOWN: Final = 5
"""Further places that are shown."""


@click.command(short_help="Find the first wrong operator of a model, and why.")
@click.argument("artifact", type=click.Path(path_type=Path))
@judged("reference")
@judged("runner")
@click.option(
    "--results",
    shell_complete=files,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Tensors that a device gave: .npy files, or what a vendor's tool dumped. They are held against the reference.",
)
@click.option("--strict", is_flag=True, help="Count an error that no output shows as wrong too.")
@shared("inputs", "samples", "junit")
@judged("checkpoint")
@judged("out")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def bisect(as_json: bool, junit: Path | None, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Run ARTIFACT an operator at a time and say where the first error enters, why, and what becomes of it.

    Each operator runs on the reference's own inputs and on what reaches it in the whole model. So an error that enters
    is told from one that passes through. The exit code is 0 where nothing is wrong, 1 where something is, 3 where it
    could not be judged.
    """
    from lwmport.pipeline.bisect.request import BisectRequest
    from lwmport.pipeline.bisect.run import bisect as run
    from lwmport.reports.bisection import as_json as document
    from lwmport.reports.junit_results import of_bisection

    with told_as_junit(junit, "lwmport bisect") as results, progress() as observer:
        found = run(BisectRequest(**options), observer)
        results.extend(of_bisection(found))
    if as_json:
        print_json(document(found))
    else:
        _print(found, options["out"])
    return exit_code(found.status)


def _print(found: "Bisection", out: Path | None) -> None:
    from lwmport.reports.bisect_words import answer, next_step

    click.echo(f"{found.component} against {found.reference}")
    click.echo(f"on {printable(found.inputs)}; weights: {printable(found.weights)}")
    for note in found.notes:
        click.echo(f"  {printable(note)}")
    if found.first is not None:
        _print_place(found.first)
    for item in found.others[:SHOWN]:
        click.echo(f"an error enters also at {printable(item.node)} ({printable(item.operator)})")
    if len(found.others) > SHOWN:
        click.echo(f"and at {len(found.others) - SHOWN} operators more")
    if out is not None:
        click.echo(f"report: {out / 'bisect.html'}")
    if step := next_step(found):
        click.echo(printable(step))
    click.echo(f"{status_word(found.status)}  {printable(answer(found))}")


def _print_place(first: "First") -> None:
    own = first.own_inputs
    click.echo(f"the first error enters at {printable(first.node)} ({printable(first.operator)})")
    click.echo(f"  output {printable(first.output)}, in the reference {printable(first.tap)}")
    click.echo(f"  on the reference's own inputs: {own.max_abs:.3g} at most, SQNR {own.sqnr_db:.1f} dB")
    click.echo(f"  cause: {first.cause or 'not known'}")
