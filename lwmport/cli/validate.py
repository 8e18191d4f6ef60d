"""``lwmport validate``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli import outcome
from lwmport.cli.junit import junit as told_as_junit
from lwmport.cli.options import judged, shared
from lwmport.cli.progress import progress


@click.command(short_help="Compare models with JAX or with another model.")
@click.argument("artifact", type=click.Path(path_type=Path))
@judged("reference")
@judged("runner")
@click.option(
    "--device", type=click.IntRange(0), metavar="N", help="The number of the card, for a runner that has several."
)
@shared("inputs", "samples")
@click.option(
    "--ranges",
    metavar="float16|bfloat16|int8",
    help="Also hold every value inside the model, computed in float32, against the limits of this dtype; int8: what "
    "the integers of a quantised ONNX file come to (sums, clipped values, scales).",
)
@judged("checkpoint")
@shared("adapter")
@judged("out")
@shared("junit")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def validate(as_json: bool, junit: Path | None, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Run ARTIFACT, a model file or a folder of them beside its manifest.json, and compare every output.

    The reference is JAX with the weights that were converted, or another model of the same component. ARTIFACT may also
    be a file that 'lwmport compile' made from a converted model.
    """
    from lwmport.pipeline.validate.request import ValidateRequest
    from lwmport.pipeline.validate.run import validate as run
    from lwmport.reports.junit_results import of_components

    with told_as_junit(junit, "lwmport validate") as results, progress() as observer:
        found = run(ValidateRequest(**options), observer)
        results.extend(of_components(found.report.components if found.report else ()))
    return outcome.show(found, options["out"], as_json=as_json)
