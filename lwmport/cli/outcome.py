"""How an outcome is shown: a few lines for a person, one document for a machine, one exit code for a script."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.output import print_json, size, status_word
from lwmport.types import Status
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.pipeline.convert.request import Outcome
    from lwmport.types import TensorDiff


def show(outcome: "Outcome", written: Path | None, *, as_json: bool) -> int:
    """Print the outcome and return the exit code: 1 if a check failed, else 0.

    ``written`` is the folder that the report was written into, None for nowhere: one that lies beside the models then
    tells of an earlier run.
    """
    page = None if written is None or outcome.report is None else written / "report.html"
    if as_json:
        print_json(_document(outcome, page))
    else:
        _print(outcome, page)
    return 1 if outcome.status is Status.FAILED else 0


def _print(outcome: "Outcome", page: Path | None) -> None:
    _print_models(outcome)
    if outcome.seconds:
        click.echo(f"converted in {outcome.seconds:.1f} s, peak memory {size(outcome.peak_bytes)}{_own(outcome)}")
    weights = outcome.manifest.weights
    click.echo(f"weights: {weights['description']}")
    if outcome.report is None:
        click.echo("not validated (--no-validate)")
        return
    note = ", seeded weights, not trained" if weights["kind"] == "seeded" else ""
    for section in outcome.report.components:
        validation = section.validation
        click.echo(f"{status_word(validation.status)}  {validation.component} on {validation.inputs}")
        for diff in validation.diffs:
            click.echo(f"  {status_word(diff.status)}  {printable(f'{diff.name}: {diff.reason}')}{note}")
        for remark in section.notes:
            click.echo(f"  {remark}")
        for timing in section.timings:
            click.echo(f"  {timing.runner}: {timing.median_s:.3f} s a run, {timing.threads} threads{note}")
    for failure in outcome.failures:
        click.echo(f"{status_word('failed')}  {failure}")
    click.echo(f"{status_word(outcome.status)}  {outcome.report.sentence}")
    if page:
        click.echo(f"report: {page}")


def _print_models(outcome: "Outcome") -> None:
    seen: set[str] = set()
    for part in outcome.manifest.components:
        total = sum(file.bytes for file in part.files if file.name not in seen)
        before = [file.name for file in part.files if file.name in seen]
        seen.update(file.name for file in part.files)
        nodes = sum(part.operators.values())
        facts = [size(total), *([f"{nodes} nodes"] if nodes else []), *(f"with {name} as above" for name in before)]
        click.echo(f"{outcome.out / part.path}  {', '.join(facts)}")
        if part.taps:
            more = sum(file.bytes for file in part.taps.files)
            click.echo(f"{outcome.out / part.taps.path}  {size(more)}, {len(part.taps.names)} taps")


def _own(outcome: "Outcome") -> str:
    """Return how much of the peak was the process's own, beside what was planned."""
    if outcome.own_peak_bytes is None:
        return ""
    expected = outcome.plan.peak_bytes if outcome.plan else None
    planned = "" if expected is None else f", planned {size(expected)}"
    return f" with mapped files, {size(outcome.own_peak_bytes)} of its own{planned}"


def _document(outcome: "Outcome", page: Path | None) -> dict[str, Any]:
    from lwmport import plain

    report = outcome.report
    validations = [_validation(section) for section in report.components] if report else []
    return {
        "status": str(outcome.status),
        "sentence": report.sentence if report else "not validated",
        "out": str(outcome.out),
        "report": None if page is None else str(page),
        "seconds": round(outcome.seconds, 3),
        "peak_bytes": outcome.peak_bytes,
        "own_peak_bytes": outcome.own_peak_bytes,
        "plan": None if outcome.plan is None else plain.encode(outcome.plan),
        "failures": list(outcome.failures),
        "manifest": plain.encode(outcome.manifest),
        "validations": validations,
    }


def _validation(section: Any) -> dict[str, Any]:
    from lwmport import plain

    diffs: tuple[TensorDiff, ...] = section.validation.diffs
    return {
        "component": section.validation.component,
        "status": str(section.validation.status),
        "reason": section.validation.reason,
        "outputs": {diff.name: {"status": str(diff.status), "reason": diff.reason} for diff in diffs},
        "notes": list(section.notes),
        "timings": plain.encode(section.timings),
    }
