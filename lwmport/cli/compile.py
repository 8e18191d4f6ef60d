"""``lwmport compile``."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.choices import lines
from lwmport.cli.completion import files, names
from lwmport.cli.options import shared
from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.types import Compilation


@click.command("compile", short_help="Compile artifacts with a vendor's tool, or write its exact command.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--target",
    required=True,
    shell_complete=names("target"),
    help="The target that has the compiler: see 'lwmport list'.",
)
@click.option(
    "--soc",
    shell_complete=names("soc"),
    help="The device within the target: Ascend310P3, X2_1204MP3, gfx936. For cpu: the runtime.",
)
@click.option(
    "--compile-precision",
    "--precision",
    "precision",
    shell_complete=names("precision"),
    help="The precision of the compiled model: float32, mixed, float16, bfloat16 or int8. Not every target has all. "
    "--precision is an old name of this option.",
)
@click.option("--gears", metavar="NAME=N,N[;...]", help="The sizes of dynamic dimensions: 'batch=1,2,4'.")
@click.option(
    "--calibration",
    metavar="DIR|auto",
    help="Samples for int8: a folder with INPUT.npy files, or auto to make new ones.",
)
@shared("inputs", "samples")
@click.option("--checkpoint", shell_complete=files, help="The checkpoint that was converted, for --calibration auto.")
@shared("adapter")
@click.option(
    "--keep-float32",
    multiple=True,
    metavar="OP|node:NAME",
    help="An operator or a node that stays in float32. May be given several times.",
)
@click.option(
    "--pictures-as-bytes", is_flag=True, help="For ascend: pictures are bytes, and the device scales them (AIPP)."
)
@click.option(
    "--extra",
    multiple=True,
    metavar="OPTION",
    help="Another option, as the vendor's tool writes it. May be given several times.",
)
@click.option(
    "--toolchain", type=click.Path(path_type=Path), help="The folder of the vendor's SDK, or the path of its compiler."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the results. By default the folder TARGET beside the artifact.",
)
@click.option("--dry-run", is_flag=True, help="Write the command and its configuration, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def compile_(as_json: bool, dry_run: bool, gears: str | None, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Compile ARTIFACT, a model file or a folder with its manifest.json, for a vendor's device.

    The command, its configuration and its log go into --out. If the vendor's tool is installed, it runs, and the
    verdict is "passed" only with all signs of success. If it is not installed, the verdict is "skipped", and the
    command to run is printed.
    """
    from lwmport.pipeline.compile.run import CompileRequest, compile_models
    from lwmport.targets.compile.job import read_gears
    from lwmport.types import Status

    request = CompileRequest(gears=read_gears(gears), run=not dry_run, **options)
    with progress() as observer:
        found = compile_models(request, observer)
    if as_json:
        from lwmport import plain

        print_json({"status": str(found.status), **plain.encode(found)})
    else:
        for compilation in found.compilations:
            _print(compilation, found.out, request.artifact)
    return 1 if found.status is Status.FAILED else 0


def _with(found: "Compilation", artifact: Path, out: Path) -> str:
    """Return what has to be there first: the model, where it lies apart, or its folder as the script's argument."""
    from lwmport.pipeline.reopen import folder_of

    folder = folder_of(artifact)
    if (out / found.folder / found.artifact).exists() or f"{found.component}.sh" not in found.files:
        return ""
    return f", with {found.artifact} there (or 'bash {found.component}.sh {shlex.quote(str(folder))}')"


def _print(found: "Compilation", out: Path, artifact: Path) -> None:
    click.echo(f"{status_word(found.status)}  {printable(f'{found.artifact} for {found.target}: {found.reason}')}")
    for line in lines(found.choices):
        click.echo(f"  {printable(line)}")
    if found.status != "passed":
        click.echo(f"  in {shlex.quote(os.path.normpath(out / found.folder))}{_with(found, artifact, out)}:")
        for command in found.commands:
            click.echo(f"    {command}")
    for name in found.files:
        click.echo(f"  {out / name}")
