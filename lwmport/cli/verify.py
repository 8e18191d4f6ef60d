"""``lwmport verify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.pipeline.bundle.verify import VerifyOutcome


@click.command(short_help="Check a bundle's digests and run its models.")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.zip")
@click.option(
    "--sha256", help="The digest that 'lwmport bundle' printed. It shows that the bundle is the one that was made."
)
@click.option(
    "--run/--no-run",
    default=True,
    show_default=True,
    help="Run the models on the golden samples, or only check the files.",
)
@click.option(
    "--runner", metavar="NAME", help="The runner of the models: see 'lwmport list'. By default their suffix decides."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def verify(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Compare every byte of a bundle with its digests, and the outputs of its models with its golden outputs."""
    from lwmport.pipeline.bundle.verify import VerifyRequest
    from lwmport.pipeline.bundle.verify import verify as run

    with progress() as observer:
        found = run(VerifyRequest(**options), observer)
    if as_json:
        print_json(_document(found))
    else:
        _print(found)
    return 1 if found.status == "failed" else 0


def _print(found: "VerifyOutcome") -> None:
    for failure in found.failures:
        click.echo(f"{status_word('failed')}  {printable(failure)}")
    for validation in found.validations:
        ran = f"with {validation.runner}, against {validation.reference}"
        how = "not run" if validation.status == "skipped" else ran
        click.echo(f"{status_word(validation.status)}  {printable(f'{validation.component} {how}')}")
        for diff in validation.diffs:
            click.echo(f"  {status_word(diff.status)}  {printable(f'{diff.name}: {diff.reason}')}")
        if not validation.diffs:
            click.echo(f"  {printable(validation.reason)}")
    click.echo(f"{status_word(found.status)}  {printable(found.sentence)}")


def _document(found: "VerifyOutcome") -> dict[str, Any]:
    from lwmport import plain

    return {
        "status": str(found.status),
        "sentence": found.sentence,
        "path": str(found.path),
        "failures": list(found.failures),
        "bundle": None if found.bundle is None else plain.encode(found.bundle),
        "validations": plain.encode(found.validations),
    }
