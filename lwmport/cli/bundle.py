"""``lwmport bundle``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.completion import files, names
from lwmport.cli.options import shared
from lwmport.cli.output import print_json, size, status_word
from lwmport.cli.progress import progress

if TYPE_CHECKING:
    from lwmport.pipeline.bundle.run import BundleOutcome


class Samples(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A number of samples, or the file that holds them."""

    name = "samples"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | Path:
        """Return the number, or the path."""
        text = str(value)
        if not text.lstrip("-").isdecimal():
            return Path(text)
        if int(text) < 1:
            self.fail(f"expected a number of at least 1, or a file, found {text}", param, ctx)
        return int(text)


@click.command(short_help="Pack converted models for a vendor's engineer.")
@click.argument("folder", metavar="FOLDER|FILE.onnx", type=click.Path(path_type=Path))
@click.option(
    "--target",
    required=True,
    shell_complete=names("target"),
    help="The target that the bundle is for: see 'lwmport list'.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.zip",
    help="The zip to write.",
)
@click.option(
    "--checkpoint", shell_complete=files, help="The checkpoint that was converted. Weights made from a seed need none."
)
@shared("adapter", "inputs")
@click.option(
    "--samples",
    type=Samples(),
    metavar="N|F.npz",
    help="Golden samples of each component, by default 3; or the file of --inputs.",
)
@click.option(
    "--calibration",
    type=click.IntRange(0),
    default=8,
    show_default=True,
    help="Inputs of each component for calibration.",
)
@click.option(
    "--soc",
    shell_complete=names("soc"),
    help="The device within the target: Ascend310P3, X2_1204MP3, gfx936. Needed for ascend.",
)
@click.option(
    "--compile-precision",
    "--precision",
    "precision",
    shell_complete=names("precision"),
    help="The precision of the compiled models: see 'lwmport compile --help'. --precision is its old name.",
)
@click.option("--gears", metavar="NAME=N,N[;...]", help="The sizes of dynamic dimensions: 'batch=1,2,4'.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def bundle(as_json: bool, gears: str | None, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Pack the models that 'lwmport convert' wrote into FOLDER, or any ONNX file, as a zip for a vendor's engineer.

    The zip also has golden samples, the compile commands and a program that checks the models. Exit code 1 means that
    the target's rules found an error in a model; the zip is still written, and it has the findings.
    """
    from lwmport.pipeline.bundle.run import BundleRequest
    from lwmport.pipeline.bundle.run import bundle as run
    from lwmport.targets.compile.job import read_gears

    if isinstance(options["samples"], Path):
        if options["inputs"] is not None:
            raise click.UsageError("expected a number as --samples beside --inputs, found a file")
        options |= {"inputs": options["samples"], "samples": None}
    with progress() as observer:
        found = run(BundleRequest(gears=read_gears(gears), **options), observer)
    if as_json:
        print_json(_document(found))
    else:
        _print(found)
    return 1 if found.status == "failed" else 0


def _print(found: "BundleOutcome") -> None:
    click.echo(f"{found.out}  {size(found.bytes)}, {len(found.bundle.files) + 1} files, for {found.bundle.target}")
    for name, commands in found.commands.items():
        for command in commands:
            click.echo(f"{name}: {command}")
    for preflight in found.preflights:
        errors = [finding for finding in preflight.findings if finding.severity == "error"]
        rules = ", ".join(sorted({finding.rule for finding in errors})) or "no errors"
        click.echo(
            f"{status_word(preflight.status)}  {preflight.artifact} against the rules of {preflight.target}: {rules}"
        )
    click.echo(f"sha256 {found.sha256}")
    click.echo(f"check it with: lwmport verify {found.out} --sha256 {found.sha256}")


def _document(found: "BundleOutcome") -> dict[str, Any]:
    from lwmport import plain

    return {
        "status": str(found.status),
        "out": str(found.out),
        "bytes": found.bytes,
        "sha256": found.sha256,
        "commands": plain.encode(found.commands),
        "preflights": plain.encode(found.preflights),
        "bundle": plain.encode(found.bundle),
    }
