"""``lwmport check``."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lwmport.cli.completion import names
from lwmport.cli.junit import junit as told_as_junit
from lwmport.cli.options import shared
from lwmport.cli.output import print_json, status_word
from lwmport.cli.progress import progress
from lwmport.types import Severity, Status
from lwmport.wording import printable, shown, told

if TYPE_CHECKING:
    from lwmport.targets.fix.mending import Mended
    from lwmport.types import Finding, Preflight

COLOURS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}


@click.command(short_help="Check a model file of any origin against the rules of a target.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--target", required=True, shell_complete=names("target"), help="The target that has the rules: see 'lwmport list'."
)
@click.option(
    "--soc", shell_complete=names("soc"), help="The chip: Ascend310P3 (the default for ascend), X2_1204MP3, gfx936."
)
@click.option(
    "--cann",
    "toolkit",
    metavar="VERSION",
    help="For ascend: the version of CANN, such as 5.0.4. By default a current one.",
)
@click.option(
    "--compile-precision",
    "--precision",
    "precision",
    shell_complete=names("precision", "float16", "bfloat16", "float32"),
    help="The precision of the compiled model: float16, bfloat16 or float32. By default the compiler's usual one. "
    "--precision is an old name of this option.",
)
@click.option("--input-shape", metavar="NAME:N,N[;...]", help="The shapes of dynamic inputs: 'x:1,256,256,3'.")
@click.option(
    "--fix", is_flag=True, help="Write a corrected copy to --out, if its outputs are the same on random inputs."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.onnx", help="The file that --fix writes."
)
@shared("inputs", "samples")
@shared("junit")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def check(as_json: bool, fix: bool, out: Path | None, junit: Path | None, **options: Any) -> int:  # noqa: FBT001
    """List every place where ARTIFACT breaks a rule of a target.

    ARTIFACT is an ONNX, TFLite or frozen graph, or a folder of them. Nothing in the file is executed and no weight is
    loaded. Errors give exit code 1.
    """
    from lwmport import plain
    from lwmport.pipeline.check import CheckRequest, check_artifacts, fix_artifact, verdict
    from lwmport.reports.junit_results import of_preflights

    if fix != (out is not None):
        raise click.UsageError("expected --fix and --out FILE.onnx together")
    if options["inputs"] and not fix:
        raise click.UsageError("expected --inputs with --fix, which runs the model")
    request = CheckRequest(**options)
    with told_as_junit(junit, "lwmport check") as results, progress() as observer:
        mended = fix_artifact(request, out, observer) if out is not None else None
        found = (mended.preflight,) if mended else check_artifacts(request, observer)
        results.extend(of_preflights(found))
    status = verdict(found)
    if as_json:
        said = {"notes": mended.notes, "proof": mended.sentence, "condition": mended.condition} if mended else None
        fixed = plain.encode(said)
        print_json({"status": str(status), "preflights": plain.encode(found), "fixed": fixed})
    else:
        if mended:
            _print_fix(mended)
        for preflight in found:
            _print(preflight)
    return 1 if status is Status.FAILED else 0


def _print_fix(mended: "Mended") -> None:
    for note in mended.notes:
        click.echo(f"fixed: {printable(note)}")
    click.echo(f"{status_word('passed')}  {printable(mended.sentence)}")
    click.echo(f"written: {', '.join(map(str, mended.files))}")


def _print(preflight: "Preflight") -> None:
    whom = f"{preflight.target} ({preflight.chip})" if preflight.chip else preflight.target
    counts = Counter(finding.severity for finding in preflight.findings)
    said = ", ".join(f"{counts[severity]} {severity}{'' if counts[severity] == 1 else 's'}" for severity in Severity)
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in preflight.findings:
        groups.setdefault((finding.rule, finding.operator, finding.found), []).append(finding)
    if groups:
        (_table if sys.stdout.isatty() else _lines)(list(groups.values()))
    click.echo(f"{status_word(preflight.status)}  {printable(preflight.artifact)} for {whom}: {said}")
    if preflight.status is Status.FAILED and any(finding.fixable for finding in preflight.findings):
        click.echo("findings marked '--fix' can be corrected: add --fix --out FILE.onnx")


def _table(groups: "list[list[Finding]]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(expand=True)
    for title, ratio in (("Rule", None), ("Found", 4), ("The vendor's tool", 3), ("What to do", 3)):
        table.add_column(title, ratio=ratio, overflow="fold")
    for group in groups:
        first = group[0]
        table.add_row(
            Text(f"{first.rule}\n{first.severity}", style=COLOURS[first.severity]),
            Text(f"{first.title}: {told(first.found)}\n{_place(group)}"),
            Text(first.vendor),
            Text(f"{first.fix}{' (--fix)' if first.fixable else ''}"),
        )
    Console().print(table)


def _lines(groups: "list[list[Finding]]") -> None:
    for group in groups:
        first = group[0]
        fix = f"{first.fix}{' (--fix)' if first.fixable else ''}"
        click.echo(f"{first.rule} {first.severity}: {first.title}: {told(first.found)}; {_place(group)}")
        click.echo(f"    {first.vendor}")
        click.echo(f"    do: {fix}")


def _place(group: "list[Finding]") -> str:
    """Return where a group of like findings is: the first place, and how many there are more."""
    first = group[0]
    what = " ".join(part for part in (shown(first.operator), shown(first.where)) if part) or "the whole model"
    return f"at {what}{f' and {len(group) - 1} more' if len(group) > 1 else ''}"
