"""``lwmport eval``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli import eval_images, eval_language, eval_needle
from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress
from lwmport.verdicts import exit_code
from lwmport.wording import few, printable

if TYPE_CHECKING:
    from lwmport.reports.captions.record import Captions, Side

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("eval", short_help="Judge what models say and paint: perplexity, tokens, needles, captions, pictures.")
def eval_() -> None:
    """Judge what models say, where no two devices give the same numbers."""


eval_.add_command(eval_language.perplexity)
eval_.add_command(eval_language.tokens)
eval_.add_command(eval_needle.needle)
eval_.add_command(eval_images.images)


@eval_.command(short_help="Compare the captions of two devices by how well they fit their pictures.")
@click.argument("a", type=FILE, metavar="A.json")
@click.argument("b", type=FILE, metavar="B.json")
@click.option("--images", type=FOLDER, required=True, help="The folder of the pictures.")
@click.option(
    "--judge", type=FOLDER, required=True, help="The folder of a CLIP model, as transformers or open_clip write it."
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 2),
    metavar="X",
    help="How much lower the mean cosine of B may be. Without it there is no verdict.",
)
@click.option("--out", type=FOLDER, help="The folder for captions.html, captions.md and captions.json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def captions(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Show mean cosines of captions and pictures for two files of answers, and the interval of A - B.

    A.json and B.json hold {picture: answer}, or two lists, image_file and model_answer. A is usually the device that is
    trusted. The judge's weights are yours; nothing of its folder is executed.

    Exit codes: 0 B is lower by no more than the margin, or none was given, 1 by more, 2 usage, 3 not settled, or cannot
    be judged.
    """
    from lwmport.pipeline.evaluate.captions.request import CaptionsRequest
    from lwmport.pipeline.evaluate.captions.run import captions as run
    from lwmport.reports.captions.files import PAGE, document

    with progress() as observer:
        found = run(CaptionsRequest(**options), observer)
    if as_json:
        print_json(document(found))
    else:
        _print(found)
        if options["out"] is not None:
            click.echo(f"page: {options['out'] / PAGE}")
    return exit_code(found.status)


def _print(found: "Captions") -> None:
    for letter, side in (("A", found.a), ("B", found.b)):
        click.echo(printable(f"{letter}: {_side(side)}"))
    click.echo(printable(found.decoding))
    for note in found.notes:
        click.echo(printable(note))
    for name, value in found.facts.items():
        click.echo(printable(f"{name}: {value}"))
    click.echo(f"{status_word(found.status)}  {printable(found.sentence)}")


def _side(side: "Side") -> str:
    only = f"; only here, and left out of A - B: {few(side.only)}" if side.only else ""
    unseen = f"not read by the judge: {100 * side.unseen_share:.1f} % of the text, the ends of {side.cut} answers"
    return f"{side.file}: {side.pictures} pictures, mean cosine {side.mean:.4f}; {unseen}{only}"
