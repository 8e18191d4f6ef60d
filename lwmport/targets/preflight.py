"""A model file against a target's rules: findings, gravest first, and a verdict."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError, UsageError, one_line
from lwmport.registry import check_known
from lwmport.targets.chip import Chip
from lwmport.targets.graphs.opening import open_graph
from lwmport.targets.graphs.record import Graph, Shapes
from lwmport.targets.registry import TARGETS
from lwmport.targets.rules.rule import NO_CHIP, Hit, Rule, Subject
from lwmport.targets.target import FLOATS, Target
from lwmport.types import Finding, Preflight, Severity, Status

TOLD: Final = 1000
"""Places of one rule that are told one by one; how many there are more is told in one finding."""

_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """For whom a model is checked. Empty fields mean what is usual for the target; ``shapes`` fix inputs by name."""

    target: str
    chip: str = ""
    toolkit: str = ""
    precision: str = ""
    shapes: Shapes | None = None


def check(path: Path, conditions: Conditions) -> Preflight:
    """Return what a target objects to in a model file.

    Raises:
        ArtifactError: the file is no model of a known format.
        UsageError: an unknown target, chip, version or precision, or a shape that fits no input.
    """
    TARGETS.require(conditions.target)
    return judge(open_graph(path, conditions.shapes), conditions)


def judge(graph: Graph, conditions: Conditions) -> Preflight:
    """Return what a target objects to in a graph."""
    subject = subject_of(graph, conditions)
    found = _findings(subject, TARGETS[conditions.target].rule_table)
    findings = tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))
    failed = any(finding.severity is Severity.ERROR for finding in findings)
    return Preflight(
        artifact=graph.path.name,
        target=conditions.target,
        chip=subject.chip.name,
        status=Status.FAILED if failed else Status.PASSED,
        findings=findings,
    )


def subject_of(graph: Graph, conditions: Conditions) -> Subject:
    """Return what the rules look at.

    Raises:
        UsageError: an unknown target, chip, version or precision.
    """
    target = TARGETS[conditions.target]
    precision = conditions.precision or target.checked_precision
    check_known("precision", precision, FLOATS)
    return Subject(
        graph=graph,
        chip=_chip(target, conditions.chip or target.usual_chip),
        toolkit=version_of(conditions.toolkit),
        precision=precision,
    )


def _chip(target: Target, name: str) -> Chip:
    if not name or not target.chips:
        return NO_CHIP
    found = target.chip(name)
    if found is None:
        check_known(f"chip of {target.name}", name, target.chips)
    return found or NO_CHIP


def version_of(text: str) -> tuple[int, ...]:
    """Return a version such as ``8.0`` or ``8.0.RC2`` as its leading numbers.

    Raises:
        UsageError: it does not begin with one.
    """
    found = []
    for part in text.split(".") if text else ():
        if not part.isdecimal():
            break
        found.append(int(part))
    if text and not found:
        raise UsageError(f"expected a version such as 8.0, found {text!r}")
    return tuple(found)


def _findings(subject: Subject, rules: Iterable[Rule]) -> Iterable[Finding]:
    for rule in rules:
        if subject.graph.form not in rule.forms:
            continue
        hits = _hits(rule, subject)
        yield from (_finding(rule, hit, subject.graph.form) for hit in islice(hits, TOLD))
        severities = Counter(hit.severity or rule.severity for hit in hits)
        for severity, count in severities.items():
            more = Hit(found=f"the same at {count:,} places more", severity=severity)
            yield _finding(rule, more, subject.graph.form)


def _hits(rule: Rule, subject: Subject) -> Iterator[Hit]:
    """Yield the places where a rule applies.

    Raises:
        ArtifactError: the graph is odd in a way that the rule was not made for; then nothing is said of it.
    """
    try:
        yield from rule.look(subject)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"expected a model whose nodes are as their operators in {subject.graph.path}, found one that the rule "
            f"{rule.id} ({rule.title}) cannot be asked of: {type(error).__name__}: {one_line(error)}"
        ) from error


def _finding(rule: Rule, hit: Hit, form: str) -> Finding:
    return Finding(
        rule=rule.id,
        severity=hit.severity or rule.severity,
        title=rule.title,
        where=hit.where,
        operator=hit.operator,
        found=hit.found,
        vendor=rule.vendor,
        fix=rule.fix,
        fixable=rule.fixable and form == "onnx",
    )
