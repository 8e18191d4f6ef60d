"""``lwmport convert``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli import outcome
from lwmport.cli.progress import progress


class Batch(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A batch: a number of at least 1, or ``dynamic``."""

    name = "batch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or the word."""
        if isinstance(value, int) or value == "dynamic":
            return value  # type: ignore[no-any-return]
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"expected a number of at least 1 or 'dynamic', found {value!r}", param, ctx)
        return int(value)


SIZE = click.IntRange(1)
MODEL = (
    *("settings", "precision", "layer", "sample_mode", "attention", "query_chunk", "key_chunk", "ring"),
    *("sequence", "max_length"),
)
"""Options of `lwmport.models.options.Options`."""


@click.command(short_help="Convert a component and prove it against JAX.")
@click.option("--component", required=True, help="What to convert: see 'lwmport list'.")
@click.option("--to", "form", required=True, help="The format: see 'lwmport list'.")
@click.option("--checkpoint", help="LWM's weights; seeded ones are used, and named as such, without it.")
@click.option("--config", default="lwm", show_default=True, metavar="NAME|FILE.json", help="LWM's model configuration.")
@click.option("--dialect", help="Which reader of the format to write for: see 'lwmport list'.")
@click.option("--opset", type=int, help="The ONNX opset, within what the dialect allows.")
@click.option("--via", type=click.Choice(["tf2onnx"]), help="ONNX by another route, held against the direct one.")
@click.option("--flavor", type=click.Choice(["plain", "xla"]), help="Of a SavedModel: plain operators, or jax2tf's.")
@click.option("--batch", type=Batch(), default=1, show_default=True, metavar="N|dynamic", help="Pictures a run.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the weights, if seeded.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out"), show_default=True)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a field of the configuration.")
@click.option("--precision", default="float32", show_default=True, help="What weights and results are kept in.")
@click.option("--layer", type=click.IntRange(0), default=0, show_default=True, help="Of llama-block: which one.")
@click.option("--sample-mode", help="Of vision-llama: text, vision or all.")
@click.option("--attention", default="", help="fused, loop or unrolled; the dialect says by default.")
@click.option("--query-chunk", type=SIZE, metavar="N", help="Queries in a block of attention.")
@click.option("--key-chunk", type=SIZE, metavar="N", help="Keys in a block of attention.")
@click.option("--ring", type=SIZE, default=1, show_default=True, help="Ranks of an unrolled ring.")
@click.option("--sequence", type=SIZE, metavar="N", help="Tokens fed at once: any, or 128 where sizes are static.")
@click.option("--max-length", type=SIZE, metavar="N", help="Tokens that a static cache holds: 2048 or all positions.")
@click.option("--no-validate", is_flag=True, help="Only convert: run nothing, write no report.")
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
    from lwmport.models.options import Options
    from lwmport.pipeline.convert import Request
    from lwmport.pipeline.convert import convert as run

    model = Options(**{name: options.pop(name) for name in MODEL})
    options["dialect"] = _dialect(form, options["dialect"], via, flavor)
    request = Request(format=form, validate=not no_validate, options=model, **options)
    with progress() as observer:
        found = run(request, observer)
    return outcome.show(found, as_json=as_json)


def _dialect(form: str, dialect: str | None, via: str | None, flavor: str | None) -> str | None:
    """Return the dialect that the options ask for between them: a route and a flavour are dialects too."""
    meant = {dialect, via, {"plain": "tf", "xla": "xla"}.get(flavor or "")} - {None}
    if len(meant) > 1:
        raise click.UsageError(f"expected one of --dialect, --via and --flavor, found {', '.join(map(str, meant))}")
    for option, value, needed in (("--via", via, "onnx"), ("--flavor", flavor, "saved_model")):
        if value and form != needed:
            raise click.UsageError(f"expected {option} with --to {needed}, found --to {form}")
    return next(iter(meant), None)
