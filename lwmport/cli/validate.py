"""``lwmport validate``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli import outcome
from lwmport.cli.progress import progress


@click.command(short_help="Judge artifacts against JAX or another artifact.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--reference", default="jax", show_default=True, metavar="jax|PATH", help="What counts as right.")
@click.option("--runner", metavar="NAME", help="What runs the artifact: see 'lwmport list'; by its suffix by default.")
@click.option("--device", type=click.IntRange(0), metavar="N", help="The number of the card, of a runner with several.")
@click.option("--checkpoint", help="The weights that were converted; not needed for seeded ones.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write a report into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def validate(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Run ARTIFACT, a model file or a folder of them beside its manifest.json, and compare every output.

    The reference is JAX with the weights that were converted, or another artifact of the same component. ARTIFACT may
    also be a file that was compiled from a converted model, as by 'lwmport compile'.
    """
    from lwmport.pipeline.validate.run import ValidateRequest
    from lwmport.pipeline.validate.run import validate as run

    with progress() as observer:
        found = run(ValidateRequest(**options), observer)
    return outcome.show(found, options["out"], as_json=as_json)
