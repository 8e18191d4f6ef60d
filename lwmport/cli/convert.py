"""``lwmport convert``."""

from typing import Any

import click

from lwmport.cli import outcome
from lwmport.cli.options import options_of, taken
from lwmport.cli.progress import progress
from lwmport.options import Place


@click.command(short_help="Convert a component and prove it against JAX.")
@options_of("convert")
def convert(**values: Any) -> int:
    """Convert a component to a format, run it beside JAX, and write models, manifest and report into --out."""
    from lwmport.converters import CONVERTERS
    from lwmport.models.options import Options
    from lwmport.pipeline.convert.request import ConvertRequest
    from lwmport.pipeline.convert.run import convert as run

    fields, own = taken(values, Place.CONVERSION), taken(values, Place.COMMAND)
    fields["format"] = CONVERTERS.name_of(fields["format"])
    fields["dialect"] = _dialect(fields["format"], fields["dialect"], own["via"], own["flavor"])
    request = ConvertRequest(options=Options(**taken(values, Place.MODEL)), **fields)
    with progress() as observer:
        found = run(request, observer)
    return outcome.show(found, found.out, as_json=own["json"])


def _dialect(form: str, dialect: str | None, via: str | None, flavor: str | None) -> str | None:
    """Return the dialect that the options ask for between them: a route and a flavour are dialects too."""
    meant = {dialect, via, {"plain": "tf", "xla": "xla"}.get(flavor or "")} - {None}
    if len(meant) > 1:
        raise click.UsageError(f"expected one of --dialect, --via and --flavor, found {', '.join(map(str, meant))}")
    for option, value, needed in (("--via", via, "onnx"), ("--flavor", flavor, "saved_model")):
        if value and form != needed:
            raise click.UsageError(f"expected {option} with --to {needed}, found --to {form}")
    return next(iter(meant), None)
