"""``lwmport convert``."""

from typing import Any

import click

from lwmport.cli import outcome
from lwmport.cli.options import model_options, taken, weights_options
from lwmport.cli.progress import progress


@click.command(short_help="Convert a component and prove it against JAX.")
@click.option("--component", required=True, help="What to convert: see 'lwmport list'.")
@click.option("--to", "form", required=True, help="The format: see 'lwmport list'.")
@click.option("--dialect", help="Which reader of the format to write for: see 'lwmport list'.")
@click.option("--opset", type=int, help="The ONNX opset, within what the dialect allows.")
@click.option("--via", type=click.Choice(["tf2onnx"]), help="ONNX by another route, held against the direct one.")
@click.option("--flavor", type=click.Choice(["plain", "xla"]), help="Of a SavedModel: plain operators, or jax2tf's.")
@weights_options
@model_options
@click.option("--runner", metavar="NAME", help="What runs the artifacts to judge them; by their suffix by default.")
@click.option("--taps", metavar="KIND", help="Write NAME.taps beside it, with more outputs: layers or composites.")
@click.option("--no-validate", is_flag=True, help="Only convert: run nothing, write no report.")
@click.option("--resume/--no-resume", default=True, help="Go on with what an interrupted run has left, or delete it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def convert(
    form: str,
    as_json: bool,  # noqa: FBT001 - a flag is an option
    no_validate: bool,  # noqa: FBT001 - same
    via: str | None,
    flavor: str | None,
    **options: Any,
) -> int:
    """Convert a component to a format, run it beside JAX, and write models, manifest and report into --out."""
    from lwmport.pipeline.convert.request import ConvertRequest
    from lwmport.pipeline.convert.run import convert as run

    model = taken(options)
    options["dialect"] = _dialect(form, options["dialect"], via, flavor)
    request = ConvertRequest(format=form, validate=not no_validate, options=model, **options)
    with progress() as observer:
        found = run(request, observer)
    return outcome.show(found, found.out, as_json=as_json)


def _dialect(form: str, dialect: str | None, via: str | None, flavor: str | None) -> str | None:
    """Return the dialect that the options ask for between them: a route and a flavour are dialects too."""
    meant = {dialect, via, {"plain": "tf", "xla": "xla"}.get(flavor or "")} - {None}
    if len(meant) > 1:
        raise click.UsageError(f"expected one of --dialect, --via and --flavor, found {', '.join(map(str, meant))}")
    for option, value, needed in (("--via", via, "onnx"), ("--flavor", flavor, "saved_model")):
        if value and form != needed:
            raise click.UsageError(f"expected {option} with --to {needed}, found --to {form}")
    return next(iter(meant), None)
