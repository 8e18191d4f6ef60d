"""``lwmport validate``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli import outcome
from lwmport.cli.completion import files, names
from lwmport.cli.junit import junit as told_as_junit
from lwmport.cli.options import shared
from lwmport.cli.progress import progress


@click.command(short_help="Compare models with JAX or with another model.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    shell_complete=files,
    default="jax",
    show_default=True,
    metavar="jax|PATH",
    help="The reference: jax, or the path of another model.",
)
@click.option(
    "--runner",
    shell_complete=names("runner"),
    metavar="NAME",
    help="The runner of the model: see 'lwmport list'. By default its suffix decides.",
)
@click.option(
    "--device", type=click.IntRange(0), metavar="N", help="The number of the card, for a runner that has several."
)
@shared("inputs", "samples")
@click.option(
    "--checkpoint", shell_complete=files, help="The checkpoint that was converted. Weights made from a seed need none."
)
@shared("adapter")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for a report. By default no report is written.",
)
@shared("junit")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def validate(as_json: bool, junit: Path | None, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Run ARTIFACT, a model file or a folder of them beside its manifest.json, and compare every output.

    The reference is JAX with the weights that were converted, or another model of the same component. ARTIFACT may also
    be a file that 'lwmport compile' made from a converted model.
    """
    from lwmport.pipeline.validate.run import ValidateRequest
    from lwmport.pipeline.validate.run import validate as run
    from lwmport.reports.junit_results import of_components

    with told_as_junit(junit, "lwmport validate") as results, progress() as observer:
        found = run(ValidateRequest(**options), observer)
        results.extend(of_components(found.report.components if found.report else ()))
    return outcome.show(found, options["out"], as_json=as_json)
