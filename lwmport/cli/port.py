"""``lwmport port``."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lwmport.choices import lines
from lwmport.cli.junit import junit as told_as_junit
from lwmport.cli.options import options_of, taken
from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress
from lwmport.cli.script_flags import ScriptCommand
from lwmport.options import OPTIONS, Place, flag_of, of_place
from lwmport.verdicts import exit_code
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.pipeline.port.run import PortOutcome
    from lwmport.reports.ports import PortReport

DEFAULT_OUT = Path("out")
SUFFIX = ".toml"


@click.command(
    cls=ScriptCommand, short_help="Convert, validate, check, compile and bundle, for one device or for many."
)
@click.argument("jobs", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[JOBS.toml]")
@options_of("port")
def port(jobs: Path | None, **values: Any) -> int:
    """Port one component to one target, or every job of JOBS.toml, and write one verdict.

    What an earlier run finished is not done again. If a vendor's compiler is not installed, its stage is skipped, and
    the bundle has the exact command.
    """
    if jobs is not None and jobs.suffix != SUFFIX and not jobs.exists():
        raise click.UsageError(f"expected a file JOBS.toml, found {str(jobs)!r}; a component is named by --component")
    as_json, junit = values.pop("json"), values.pop("junit")
    of_file = [option.key for option in of_place(Place.MATRIX)]
    _refuse(values.keys() - set(of_file) if jobs is not None else of_file, jobs)
    if jobs is not None:
        return _all(jobs, values, junit, as_json=as_json)
    missing = [flag_of(key) for key in ("component", "target") if values[key] is None]
    if missing:
        raise click.UsageError(f"expected JOBS.toml, or {' and '.join(missing)}, found neither")
    return _one(values, junit, as_json=as_json)


def _refuse(keys: Collection[str], jobs: Path | None) -> None:
    """Refuse options that mean nothing here: a file says everything of its jobs but --out."""
    context = click.get_current_context()
    given = [option.key for option in OPTIONS if option.key in keys and option.key != "out"]
    given = [key for key in given if context.get_parameter_source(key) is ParameterSource.COMMANDLINE]
    if given:
        words = ", ".join(map(flag_of, given))
        where = f"in {jobs.name}" if jobs else "beside JOBS.toml"
        raise click.UsageError(f"expected {words} {where}, found on the command line")


def _one(values: dict[str, Any], junit: Path | None, *, as_json: bool) -> int:
    from lwmport import plain
    from lwmport.models.options import Options
    from lwmport.pipeline.convert.request import ConvertRequest
    from lwmport.pipeline.port.run import PortRequest, usual_format
    from lwmport.pipeline.port.run import port as run
    from lwmport.reports.junit_results import of_port

    fields, device = taken(values, Place.CONVERSION), taken(values, Place.PORT)
    fields["format"] = fields["format"] or usual_format(device["target"])
    conversion = ConvertRequest(options=Options(**taken(values, Place.MODEL)), **fields)
    request = PortRequest(conversion=conversion, **device)
    with told_as_junit(junit, "lwmport port") as results, progress() as observer:
        found = run(request, observer)
        results.extend(of_port(found.title, found.stages, found.status, found.sentence))
    if as_json:
        print_json(plain.encode(found))
    else:
        _print(found)
    return exit_code(found.status)


def _print(found: "PortOutcome") -> None:
    for line in lines(found.choices):
        click.echo(f"  {line}")
    for stage in found.stages:
        click.echo(f"{status_word(stage.status)}  {stage.name}: {printable(stage.reason)}")
    click.echo(f"{status_word(found.status)}  {found.title}: {found.sentence}")


def _all(jobs: Path, values: dict[str, Any], junit: Path | None, *, as_json: bool) -> int:
    from lwmport import plain
    from lwmport.pipeline.port.jobs import read_bytes, read_jobs
    from lwmport.pipeline.port.matrix import port_all
    from lwmport.reports.junit_results import of_port

    out, given = values["out"], taken(values, Place.MATRIX)
    asked = read_jobs(jobs, None if out == DEFAULT_OUT else out)
    given["memory"] = None if given["memory"] is None else read_bytes(given["memory"])
    with told_as_junit(junit, "lwmport port") as results, progress() as observer:
        found = port_all(asked, observer=observer, **given)
        for job in found.jobs:
            results.extend(of_port(job.title, job.stages, job.status, job.sentence))
    if as_json:
        print_json({"status": str(found.status), "sentence": found.sentence, **plain.encode(found)})
    else:
        _print_all(found, asked.out)
    return exit_code(found.status)


def _print_all(found: "PortReport", out: Path) -> None:
    for job in found.jobs:
        click.echo(f"{status_word(job.status)}  {job.title}: {job.sentence}")
    click.echo(f"index: {out / 'index.html'}")
    if found.trends is not None:
        click.echo(printable(found.trends.sentence))
    click.echo(f"{status_word(found.status)}  {found.sentence}")
