"""What each command judged, as the test cases of its JUnit XML; one of them has the verdict of the whole."""

from collections.abc import Iterable
from typing import Protocol

from lwmport.reports.bisect_words import answer, decibels
from lwmport.reports.bisection import Bisection, First, Tap
from lwmport.reports.cases import cases_of
from lwmport.reports.junit import Result
from lwmport.reports.record import ComponentReport
from lwmport.types import Preflight, Severity, Status


def of_components(parts: Iterable[ComponentReport]) -> list[Result]:
    """Return a test case for each case of each component, and one for each component whose files are wrong."""
    return [result for part in parts for result in _whole(_cases(part), part.title, part.status, part.reason)]


class Stage(Protocol):
    """One stage of a port."""

    @property
    def name(self) -> str:
        """What is done in it."""

    @property
    def status(self) -> Status:
        """How it ended."""

    @property
    def reason(self) -> str:
        """Why it is so."""


def of_port(title: str, stages: Iterable[Stage], status: Status, sentence: str) -> list[Result]:
    """Return a test case for each stage of a port, and one for its verdict where no stage has that."""
    results = [Result(group=title, name=one.name, status=one.status, message=one.reason) for one in stages]
    return _whole(results, title, status, sentence)


def of_preflights(found: Iterable[Preflight]) -> list[Result]:
    """Return a test case for each model file that was checked."""
    return [
        Result(group=f"{one.target} {one.chip}".strip(), name=one.artifact, status=one.status, message=_errors(one))
        for one in found
    ]


def of_bisection(found: Bisection) -> list[Result]:
    """Return a test case for each output and each tap; one fails where an error enters that counts as wrong."""
    group = found.component
    outputs = [
        Result(
            group=f"{group}.outputs",
            name=name,
            status=Status.PASSED if passed else Status.FAILED,
            message=f"beyond tolerance: largest error {measured.max_abs:.3g}, SQNR {decibels(measured.sqnr_db)}",
        )
        for name, measured, passed in found.outputs
    ]
    told = {place.tap: place for place in (found.first, *found.others) if place is not None}
    taps = [_tap(tap, told.get(tap.tap), found) for tap in found.taps]
    return _whole([*outputs, *taps], group, found.status, answer(found))


def _whole(results: list[Result], group: str, status: Status, message: str) -> list[Result]:
    """Return test cases of which at least one has the verdict of the whole."""
    if any(one.status is status for one in results):
        return results
    return [Result(group=group, name="verdict", status=status, message=message), *results]


def _cases(part: ComponentReport) -> list[Result]:
    return [
        Result(group=part.title, name=case.name or "outputs", status=case.status, message=case.sentence)
        for case in cases_of(part)
    ]


def _errors(found: Preflight) -> str:
    errors = [one for one in found.findings if one.severity is Severity.ERROR]
    lines = (f"{one.rule} {one.title}: {one.found} {one.where}".strip() for one in errors)
    return "; ".join(dict.fromkeys(lines))


def _tap(tap: Tap, place: First | None, found: Bisection) -> Result:
    wrong = tap.enters and (found.strict or not tap.harmless)
    own = "" if tap.own is None else f": SQNR {decibels(tap.own.sqnr_db)} on the reference's own inputs"
    message = place.explanation if place else f"an error enters{own}"
    status = Status.FAILED if wrong else Status.PASSED
    return Result(group=f"{found.component}.taps", name=tap.tap, status=status, message=message)
