"""How an outcome is shown: a few lines for a person, one document for a machine, one exit code for a script."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.choices import WEIGHTS, is_random, lines
from lwmport.cli.output import print_json, size, status_word
from lwmport.types import Status
from lwmport.verdicts import exit_code
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.pipeline.convert.request import Outcome
    from lwmport.reports.record import ComponentReport
    from lwmport.types import TensorDiff

NOT_ASKED = "Not validated: --no-validate."
"""The sentence of a conversion that nobody judged, for nobody asked."""

FEW = 8
"""Outputs of a component that are shown one by one; more are shown by case."""

LONGEST = 100
"""Letters of a description that a line takes."""


def show(outcome: "Outcome", written: Path | None, *, as_json: bool) -> int:
    """Print the outcome and return the exit code of its verdict: 0 where none was asked for.

    ``written`` is the folder that the report was written into, None for nowhere: one that lies beside the models then
    tells of an earlier run.
    """
    page = None if written is None or outcome.report is None else written / "report.html"
    if as_json:
        print_json(_document(outcome, page))
    else:
        _print(outcome, page)
    return 0 if outcome.report is None else exit_code(outcome.status)


def _print(outcome: "Outcome", page: Path | None) -> None:
    _print_models(outcome)
    if outcome.seconds:
        click.echo(f"converted in {outcome.seconds:.1f} s, peak memory {size(outcome.peak_bytes)}{_own(outcome)}")
    weights = outcome.manifest.weights
    click.echo(f"weights: {weights['description']}")
    for line in lines(choice for choice in outcome.manifest.choices if choice.name != WEIGHTS):
        click.echo(f"  {printable(line)}")
    if outcome.report is None:
        click.echo(f"{status_word(outcome.status)}  {NOT_ASKED}")
        return
    note = ", random weights, not trained" if is_random(weights) else ""
    for section in outcome.report.components:
        _print_section(section, note)
    if page:
        click.echo(f"report: {page}")
    elif outcome.failures and (outcome.out / "report.json").is_file():
        click.echo(f"the report there is of earlier files; bring it up to date: lwmport report {outcome.out}")
    click.echo(f"{status_word(outcome.status)}  {outcome.report.sentence}")


def _print_section(section: "ComponentReport", note: str) -> None:
    """Print the verdict on a component and one line a case, or a line an output where there are few."""
    from lwmport.reports.cases import cases_of, shown_cases

    validation = section.validation
    click.echo(f"{status_word(section.status)}  {section.title}{_on(validation.inputs)}")
    for fault in section.faults:
        click.echo(f"  {status_word(fault.status)}  {printable(fault.reason)}")
    if validation.status is Status.NOT_JUDGED:
        click.echo(f"  {printable(validation.reason)}")
    if len(validation.diffs) <= FEW:
        for diff in validation.diffs:
            click.echo(f"  {status_word(diff.status)}  {printable(f'{diff.name}: {diff.reason}')}{note}")
    else:
        shown, left = shown_cases(cases_of(section))
        for case in shown:
            click.echo(f"  {status_word(case.status)}  {printable(case.sentence)}{note}")
        if left:
            click.echo(f"  and {len(left)} more cases, all passed")
    _print_integers(section)
    for remark in section.notes[:FEW]:
        click.echo(f"  {remark}")
    if len(section.notes) > FEW:
        click.echo(f"  and {len(section.notes) - FEW} more remarks: see the report")
    for timing in section.timings:
        click.echo(f"  {timing.runner}: {timing.median_s:.3f} s a run, {timing.threads} threads{note}")


def _print_integers(section: "ComponentReport") -> None:
    """Print the sums of integers with the least room, and the values of which most is clipped, where there are some."""
    from lwmport.validators.integer_verdict import rounded

    found = section.integers
    if found is None or not (found.nearest or found.clipped):
        return
    names = [*(one.name for one in found.nearest[:FEW]), *(each.name for each in found.clipped[:FEW])]
    width = max(map(len, names))
    if found.nearest:
        heads = f"{'terms':>7}  {'largest sum':>13}  {'by its weights':>14}  beyond 16 bits"
        click.echo(f"  {'operator':<{width}}  {heads}")
    for one in found.nearest[:FEW]:
        sums = f"{one.terms:>7,}  {rounded(one.largest):>13}  {rounded(one.worst):>14}  {one.pairs:>14.2%}"
        click.echo(f"  {printable(one.name):<{width}}  {sums}")
    if found.clipped:
        click.echo(f"  {'values':<{width}}  {'clipped':>7}  {'steps beyond':>13}")
    for each in found.clipped[:FEW]:
        click.echo(f"  {printable(each.name):<{width}}  {each.clipped:>7.2%}  {each.steps:>13,.0f}")


def _on(inputs: str) -> str:
    """Return what a component was judged on; a long text is cut, for the report has it."""
    return f" on {inputs if len(inputs) <= LONGEST else inputs[:LONGEST].rstrip() + ' ...'}" if inputs else ""


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
        "sentence": report.sentence if report else NOT_ASKED,
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
        "status": str(section.status),
        "reason": section.reason,
        "outputs": {diff.name: {"status": str(diff.status), "reason": diff.reason} for diff in diffs},
        "notes": list(section.notes),
        "timings": plain.encode(section.timings),
    }
