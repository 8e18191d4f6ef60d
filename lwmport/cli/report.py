"""``lwmport report``."""

from pathlib import Path

import click

from lwmport.cli.output import status_word
from lwmport.cli.progress import progress
from lwmport.verdicts import exit_code


@click.command(short_help="Write the HTML and Markdown of a report again.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def report(folder: Path) -> int:
    """Check FOLDER/report.json, and the models beside it, and write report.html and report.md from it.

    The verdict holds for the files that were judged: models beside the report that are others now make it "failed",
    and such as are missing, or do not run any more, "not judged".
    """
    from lwmport.reports.files import read_report, rechecked, rewrite

    found = read_report(folder)
    with progress() as observer:
        observer.phase(f"digests of the models in {folder}")
        found = rechecked(found, folder)
    rewrite(found, folder)
    click.echo(f"report: {folder / 'report.html'}")
    click.echo(f"{status_word(found.status)}  {found.sentence}")
    return exit_code(found.status)
