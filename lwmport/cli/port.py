"""``lwmport port``."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lwmport.cli.options import SIZE, model_options, taken, weights_options
from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress

if TYPE_CHECKING:
    from lwmport.pipeline.port.run import PortOutcome
    from lwmport.reports.ports import PortReport

DEFAULT_OUT = Path("out")
SUFFIX = ".toml"
BATCH = ("workers", "memory", "engine")
"""Options of a file of jobs."""


@click.command(short_help="The whole road: convert, validate, check, compile and bundle, for one device or many.")
@click.argument("jobs", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[JOBS.toml]")
@click.option("--component", help="What to port: see 'lwmport list'.")
@click.option("--target", help="The device: see 'lwmport list'.")
@click.option("--to", "form", help="The format; the target's usual one by default.")
@click.option("--dialect", help="A dialect of the target besides its usual one: ascend-npu.")
@click.option("--opset", type=int, help="The ONNX opset, within what the target's dialect allows.")
@click.option("--soc", help="The device within the target, as its compiler calls it.")
@click.option("--toolchain", type=click.Path(path_type=Path), help="The vendor's SDK, or the executable itself.")
@click.option("--runner", metavar="NAME", help="What runs the models, or what is compiled of them, to judge them.")
@weights_options
@model_options
@click.option("--workers", type=SIZE, metavar="N", help="Of JOBS.toml: ports at a time.")
@click.option("--memory", metavar="8GB", help="Of JOBS.toml: memory for all of them.")
@click.option("--engine", default="local", show_default=True, help="Of JOBS.toml: local, or ray for a cluster.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def port(jobs: Path | None, as_json: bool, **options: Any) -> int:  # noqa: FBT001 - flags are options
    """Port one component to one target, or every job of JOBS.toml, and write one verdict.

    What an earlier run finished is not done again. A compiler that is not installed leaves its stage skipped, with the
    exact command in the bundle.
    """
    if jobs is not None and jobs.suffix != SUFFIX and not jobs.exists():
        raise click.UsageError(f"expected a file JOBS.toml, found {str(jobs)!r}; a component is named by --component")
    batch = {name: options.pop(name) for name in BATCH}
    _refuse(options if jobs is not None else batch, jobs)
    if jobs is not None:
        return _all(jobs, options, batch, as_json=as_json)
    missing = [f"--{name}" for name in ("component", "target") if options[name] is None]
    if missing:
        raise click.UsageError(f"expected JOBS.toml, or {' and '.join(missing)}, found neither")
    return _one(options, as_json=as_json)


def _refuse(names: Iterable[str], jobs: Path | None) -> None:
    """Refuse options that mean nothing here, rather than leave them unheard: a file says all of its jobs but --out."""
    context = click.get_current_context()
    given = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    given = [name for name in given if name != "out"]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        where = f"in {jobs.name}" if jobs else "beside JOBS.toml"
        raise click.UsageError(f"expected {words} {where}, found on the command line")


def _one(options: dict[str, Any], *, as_json: bool) -> int:
    from lwmport import plain
    from lwmport.pipeline.convert.request import ConvertRequest
    from lwmport.pipeline.port.run import PortRequest, usual_format
    from lwmport.pipeline.port.run import port as run

    model = taken(options)
    device = {name: options.pop(name) for name in ("target", "soc", "toolchain", "runner")}
    form = options.pop("form") or usual_format(device["target"])
    request = PortRequest(conversion=ConvertRequest(format=form, options=model, **options), **device)
    with progress() as observer:
        found = run(request, observer)
    if as_json:
        print_json(plain.encode(found))
    else:
        _print(found)
    return 1 if found.status == "failed" else 0


def _print(found: "PortOutcome") -> None:
    for stage in found.stages:
        click.echo(f"{status_word(stage.status)}  {stage.name}: {stage.reason}")
    click.echo(f"{status_word(found.status)}  {found.title}: {found.sentence}")


def _all(jobs: Path, options: dict[str, Any], batch: dict[str, Any], *, as_json: bool) -> int:
    from lwmport import plain
    from lwmport.pipeline.port.jobs import read_bytes, read_jobs
    from lwmport.pipeline.port.matrix import port_all

    out = options["out"]
    asked = read_jobs(jobs, None if out == DEFAULT_OUT else out)
    memory = None if batch["memory"] is None else read_bytes(batch["memory"])
    with progress() as observer:
        found = port_all(asked, engine=batch["engine"], workers=batch["workers"], memory=memory, observer=observer)
    if as_json:
        print_json({"status": str(found.status), "sentence": found.sentence, **plain.encode(found)})
    else:
        _print_all(found, asked.out)
    return 1 if found.status == "failed" else 0


def _print_all(found: "PortReport", out: Path) -> None:
    for job in found.jobs:
        click.echo(f"{status_word(job.status)}  {job.title}: {job.sentence}")
    click.echo(f"{status_word(found.status)}  {found.sentence}")
    click.echo(f"index: {out / 'index.html'}")
