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
    from lwmport.reports.race.record import Race
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
@click.option(
    "--fastest",
    is_flag=True,
    help="For cpu: race the ways in which this machine can run the model, and write the fastest that keeps the bound: "
    "the tolerance of --compile-precision, by default float32, or --lossy.",
)
@click.option(
    "--lossy",
    type=click.FloatRange(0),
    metavar="DB",
    help="With --fastest: the bound is this signal-to-noise ratio in decibels, which every output must have.",
)
@click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="With --fastest: how often each way runs."
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
        for race in found.races:
            _print_race(race)
        for compilation in found.compilations:
            _print(compilation, found.out, request.artifact)
    return 1 if found.status is Status.FAILED else 0


def _print_race(race: "Race") -> None:
    from rich.console import Console
    from rich.table import Table

    from lwmport.reports.race.files import names_of, short_cells

    table = Table("way", "median", "ratio", "SQNR", "PSNR", "equal", "bound")
    for row in race.rows:
        table.add_row(*map(printable, short_cells(row)))
    Console().print(table)
    for row in race.rows:
        reason = row.reason or (row.accuracy.reason if row.accuracy and row.accuracy.verdict != "passed" else "")
        if reason:
            click.echo(printable(f"{row.way}: {'not raced: ' if row.reason else ''}{reason}"))
    for name, value in {**race.facts, "reference": race.reference, "inputs": race.inputs, "bound": race.bound}.items():
        click.echo(printable(f"{name}: {value}"))
    if race.verified:
        click.echo(printable(f"{race.record}, opened again: {race.verified}"))
    click.echo(printable(f"{race.component}: {race.sentence} ({names_of(race.component)[1]})"))


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
