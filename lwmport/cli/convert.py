"""``lwmport convert``."""

from typing import TYPE_CHECKING, Any

import click

from lwmport.cli import outcome
from lwmport.cli.options import options_of, taken
from lwmport.cli.output import print_json, size
from lwmport.cli.progress import progress
from lwmport.cli.script_flags import ScriptCommand
from lwmport.options import Place
from lwmport.wording import few

if TYPE_CHECKING:
    from lwmport.pipeline.convert.request import ConvertRequest


@click.command(cls=ScriptCommand, short_help="Convert a component and prove it against JAX.")
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
    if own["dry_run"]:
        return _dry_run(request, as_json=own["json"])
    with progress() as observer:
        found = run(request, observer)
    return outcome.show(found, found.out, as_json=own["json"])


def _dry_run(request: "ConvertRequest", *, as_json: bool) -> int:
    from lwmport import plain
    from lwmport.pipeline.convert.dry_run import dry_run

    found = dry_run(request)
    if as_json:
        print_json({"dry_run": True, **plain.encode(found), "sentence": found.plan.sentence})
        return 0
    opset = f", opset {found.opset}" if found.opset else ""
    click.echo(f"{found.format} in the dialect {found.dialect}{opset}, into {found.out}")
    click.echo(f"weights: {found.weights}")
    for model in found.models:
        click.echo(f"{model.component}: {model.file}, {size(model.weight_bytes)} of weights")
        click.echo(f"  {few(model.inputs)} -> {few(model.outputs)}")
        click.echo(f"  judged by: {model.check}")
    if found.shared:
        click.echo(f"weights of all of them once, in {found.shared}")
    if found.budget:
        click.echo(found.budget)
    if found.replaces:
        click.echo(f"replaced: {few(found.replaces)}")
    click.echo(f"plan: {found.plan.sentence}")
    click.echo("nothing was written")
    return 0


def _dialect(form: str, dialect: str | None, via: str | None, flavor: str | None) -> str | None:
    """Return the dialect that the options ask for between them: a route and a flavour are dialects too."""
    meant = {dialect, via, {"plain": "tf", "xla": "xla"}.get(flavor or "")} - {None}
    if len(meant) > 1:
        raise click.UsageError(f"expected one of --dialect, --via and --flavor, found {', '.join(map(str, meant))}")
    for option, value, needed in (("--via", via, "onnx"), ("--flavor", flavor, "saved_model")):
        if value and form != needed:
            raise click.UsageError(f"expected {option} with --to {needed}, found --to {form}")
    return next(iter(meant), None)
