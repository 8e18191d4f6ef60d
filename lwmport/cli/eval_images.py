"""``lwmport eval images``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.wording import few, printable

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(short_help="Say how alike pictures of two folders are.")
@click.argument("a", type=FOLDER)
@click.argument("b", type=FOLDER)
@click.option("--judge", type=FOLDER, help="The folder of a CLIP model, for a score of each picture and its text.")
@click.option(
    "--texts",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F.json",
    help="The file of the texts that the pictures were made from: {picture: text}. A judge needs it.",
)
@click.option("--out", type=FOLDER, help="The folder for images.html and images.json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def images(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Compare the pictures of folders A and B by their names: PSNR and SSIM, and on request a CLIP score.

    A picture of A and one of B belong together if their paths below the folders are the same, whatever kind of file
    they are. A is usually what is trusted.

    Exit codes: 0 measured, 2 usage, 3 a picture or the judge cannot be read.
    """
    from lwmport.pipeline.evaluate.images.request import LikenessRequest
    from lwmport.pipeline.evaluate.images.run import likeness
    from lwmport.reports.evaluations import likeness as record

    with progress() as observer:
        found = likeness(LikenessRequest(**options), observer)
    if as_json:
        print_json(record.document(found))
        return 0
    click.echo(printable(f"{found.a} and {found.b}: {found.sentence}"))
    for name, value in found.facts.items():
        click.echo(printable(f"{name}: {value}"))
    for letter, names in (("A", found.only_a), ("B", found.only_b)):
        if names:
            click.echo(printable(f"only in {letter}, and left out: {few(names)}"))
    if options["out"] is not None:
        click.echo(f"page: {options['out'] / record.PAGE}")
    return 0
