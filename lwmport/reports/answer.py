"""Can I ship this? What was proven, on what and where, and what was not done: the sentences of every verdict.

Page, Markdown, terminal, index and a bundle's README say the same, for all of them take it from here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from lwmport.choices import Choice
from lwmport.reports.record import ComponentReport, Destination, InputsFact, Report, WeightsSource
from lwmport.types import Status
from lwmport.verdicts import combined

NAMED: Final = 5
"""Outputs or components that a sentence names; the rest are counted."""

LONGEST: Final = 60
"""Letters of a description of inputs that a sentence takes as it is."""

PHOTOGRAPHS: Final = re.compile(r"photographs: ([^;]*)$")


def assemble(  # noqa: PLR0913 - keywords, one a field of the record
    *,
    title: str,
    weights: WeightsSource,
    components: tuple[ComponentReport, ...],
    versions: Mapping[str, str],
    machine: str,
    commands: tuple[str, ...],
    choices: tuple[Choice, ...] = (),
    inputs: InputsFact | None = None,
    destination: Destination | None = None,
    left_out: tuple[str, ...] = (),
) -> Report:
    """Return the report with the verdict that its components add up to."""
    report = Report(
        title=title,
        status=overall(components),
        sentence="",
        weights=weights,
        components=components,
        versions=dict(versions),
        machine=machine,
        commands=commands,
        choices=choices,
        inputs=inputs,
        destination=destination,
        left_out=left_out,
    )
    return answered(report)


def answered(report: Report) -> Report:
    """Return a report with the verdict and the sentence that follow from what it says."""
    return replace(report, status=overall(report.components), sentence=answer(report))


def overall(components: Iterable[ComponentReport]) -> Status:
    """Return the verdict on all components."""
    return combined(part.status for part in components)


def answer(report: Report) -> str:
    """Return the answer: what decides first, then what was proven, then what was not done."""
    return " ".join(filter(None, (proven(report), undone(report))))


def proven(report: Report) -> str:
    """Return what was compared and how it came out, the worst first: "Numerically equal on a CPU (1 photograph)."."""
    parts = report.components
    if not parts:
        return "Not judged: there is nothing to judge."
    failed, unjudged, passed = (
        [part for part in parts if part.status is status]
        for status in (Status.FAILED, Status.NOT_JUDGED, Status.PASSED)
    )
    found = [f"Not equal {_places(failed, report)}: {_listed(map(_blame, failed))}."] if failed else []
    found += [f"Not judged: {_causes(unjudged)}."] if unjudged else []
    if passed:
        whose = "" if len(passed) == len(parts) else f"{_listed(part.validation.component for part in passed)}: n"
        found.append(f"{whose or 'N'}umerically equal {_places(passed, report)}: {_agreement(passed)}.")
    return " ".join(found)


def undone(report: Report) -> str:
    """Return what nobody has done yet: "Not compiled for, not run on Ascend 310P3."; nothing where all is done."""
    found = [f"Not judged here: {_listed(report.left_out)}."] if report.left_out else []
    goal = report.destination
    ran = any(part.on_device and part.status is not Status.NOT_JUDGED for part in report.components)
    if goal is not None and not ran:
        how = f"Compiled for {goal.name}" if goal.compiled else f"Not compiled for, not run on {goal.name}"
        then = (", run on it and equal" if goal.ran else ", not run on it") if goal.compiled else ""
        found.append(f"{how}{then}.")
    return " ".join(found)


def words_of_inputs(part: ComponentReport, report: Report) -> str:
    """Return on what a component was judged, in few words: what the record says, else what its description does."""
    if report.inputs and not part.on_device:  # a device is judged on the golden samples of a bundle
        return report.inputs.words
    described = part.validation.inputs
    pictures = PHOTOGRAPHS.search(described)
    if pictures:
        return counted(len(pictures[1].split(", ")), "photograph")
    return described if len(described) <= LONGEST else counted(described.count(";") + 1, "case")


def counted(number: int, noun: str) -> str:
    """Return a number and a noun, in the plural where it is due."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _places(parts: list[ComponentReport], report: Report) -> str:
    """Return where and on what: "on a CPU (1 photograph) and on Ascend 310P3 (3 golden samples)"."""
    found: dict[str, list[str]] = {}
    for part in parts:
        words = words_of_inputs(part, report)
        if words not in found.setdefault(part.where, []) and words:
            found[part.where].append(words)
    return " and ".join(f"on {where}{f' ({_listed(words)})' if words else ''}" for where, words in found.items())


def _agreement(parts: list[ComponentReport]) -> str:
    outputs = sum(len(part.validation.diffs) for part in parts)
    references = " and ".join(sorted({part.validation.reference for part in parts}))
    return f"{outputs} of {outputs} outputs agree with {references}, every value within tolerance"


def _blame(part: ComponentReport) -> str:
    """Return what failed: the files that changed, or how many outputs, and which."""
    faults = [fault.reason for fault in part.faults if fault.status is Status.FAILED]
    if faults:
        return "; ".join(faults)
    diffs = part.validation.diffs
    names = [diff.name for diff in diffs if diff.status is Status.FAILED]
    return (
        f"{len(names)} of {len(diffs)} outputs of {part.validation.component} disagree with "
        f"{part.validation.reference} ({_listed(names)})"
    )


def _causes(parts: list[ComponentReport]) -> str:
    """Return why components were not judged: each cause once, with the components that it holds for."""
    found: dict[str, list[str]] = {}
    for part in parts:
        found.setdefault(part.reason.rstrip("."), []).append(part.validation.component)
    return _listed((f"{reason} ({_listed(names)})" for reason, names in found.items()), "; ")


def _listed(items: Iterable[str], separator: str = ", ") -> str:
    """Return the first items, and how many more there are."""
    found = list(items)
    more = len(found) - NAMED
    return separator.join(found[:NAMED]) + (f"{separator}and {more} more" if more > 0 else "")
