"""``lwmport compile``."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress

if TYPE_CHECKING:
    from lwmport.types import Compilation


@click.command("compile", short_help="Compile artifacts with a vendor's tool, or write its exact command.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="Whose compiler: ascend, aipu, migraphx or cpu.")
@click.option("--soc", help="The device within the target: Ascend310P3, X2_1204MP3, gfx936; for cpu the engine.")
@click.option("--precision", help="float32, mixed, float16, bfloat16 or int8, as far as the target has it.")
@click.option("--gears", metavar="NAME=N,N[;...]", help="Sizes of dynamic dimensions: 'batch=1,2,4'.")
@click.option("--calibration", metavar="DIR|auto", help="Samples for int8: INPUT.npy files, or made anew.")
@click.option("--checkpoint", help="The weights that were converted, for --calibration auto; not for seeded ones.")
@click.option("--keep-float32", multiple=True, metavar="OP|node:NAME", help="Stays in float32; may be repeated.")
@click.option("--pictures-as-bytes", is_flag=True, help="Ascend: pictures come as bytes, scaled on the device (AIPP).")
@click.option("--extra", multiple=True, metavar="OPTION", help="A further option in the tool's own words, repeatable.")
@click.option("--toolchain", type=click.Path(path_type=Path), help="The SDK's folder, or the executable itself.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: TARGET beside the artifact.")
@click.option("--dry-run", is_flag=True, help="Write command and configuration, run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compile_(as_json: bool, dry_run: bool, gears: str | None, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Compile ARTIFACT, a model file or a folder with its manifest.json, for a vendor's device.

    Command, configuration and log go into --out. The tool runs where it is found, and its result counts only with all
    signs of success; where it is not, the verdict is "skipped", with the command to run.
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
            _print(compilation, found.out)
    return 1 if found.status is Status.FAILED else 0


def _print(found: "Compilation", out: Path) -> None:
    click.echo(f"{status_word(found.status)}  {found.artifact} for {found.target}: {found.reason}")
    if found.status != "passed":
        click.echo(f"  in {shlex.quote(os.path.normpath(out / found.folder))}:")
        for command in found.commands:
            click.echo(f"    {command}")
    for name in found.files:
        click.echo(f"  {out / name}")
