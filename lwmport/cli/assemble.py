"""``lwmport assemble``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.wording import printable


@click.command(short_help="Put converted parts and a tokenizer together as a model that runs.")
@click.option(
    "--llama",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of a converted whole language model.",
)
@click.option(
    "--tokenizer",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder with its tokenizer.json.",
)
@click.option(
    "--vqgan", type=click.Path(path_type=Path), metavar="DIR", help="The folder of the converted VQGAN, for pictures."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="MODEL", help="The folder to make.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def assemble(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Make one folder of artifacts and tokenizer, for 'lwmport chat' and 'lwmport generate'.

    Files are linked where the disk allows it, and copied elsewhere.

    Exit codes: 0 made, 2 usage, 3 a part cannot be read; nothing is written then.
    """
    from lwmport.pipeline.assemble.run import AssembleRequest
    from lwmport.pipeline.assemble.run import assemble as run

    with progress() as observer:
        found = run(AssembleRequest(**options), observer)
    if as_json:
        print_json({"out": str(found.folder), "family": found.record.family, "verdicts": dict(found.record.verdicts)})
        return 0
    told = ", ".join(f"{name} {verdict}" for name, verdict in found.record.verdicts.items())
    click.echo(printable(f"{found.folder}: {told}"))
    return 0
