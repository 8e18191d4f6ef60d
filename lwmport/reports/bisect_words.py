"""What a bisection found, in sentences: the page, the Markdown and the terminal take them from here."""

import math
from typing import Final

from lwmport.reports import numbers
from lwmport.reports.answer import counted
from lwmport.reports.bisection import Bisection, First, Tap
from lwmport.types import Status
from lwmport.wording import few, shown

AGAIN: Final = "Mend it, convert again, and run the command below once more: it then stops at the next error, if any."
SEARCH: Final = "Compare the operator, its neighbours and its worst places below with the reference."
STRICT: Final = "With --strict, errors that no output shows count as wrong too."


def answer(found: Bisection) -> str:
    """Return what is wrong, where and why, in one or two sentences; or that nothing is, and on what that was found."""
    if found.status is Status.NOT_JUDGED:
        return f"Not judged: {found.reason.rstrip('.')}."
    if found.first is not None:
        return f"{_where(found.first)} {found.first.explanation}"
    if found.status is Status.FAILED:
        return (
            f"{_outputs(found)}, but no operator gives a wrong output on the reference's own inputs: small differences "
            f"add up, or a place that was not compared is wrong."
        )
    silent = sum(tap.harmless for tap in found.taps)
    if silent:
        return f"No output is wrong: {_outputs(found)}. At {counted(silent, 'tap')} an error enters that none shows."
    taps = numbers.count(len(found.taps))
    return f"Nothing is wrong: {_outputs(found)}, and no error beyond rounding enters at any of {taps} taps."


def next_step(found: Bisection) -> str:
    """Return what to do next; nothing where there is nothing to do."""
    if found.status is Status.NOT_JUDGED:
        return "Mend the cause, and run the command below again." if found.command else ""
    if found.first is None:
        return "" if found.status is Status.FAILED or found.strict else STRICT
    more = len(found.others)
    rest = f" {counted(more, 'further place')} where an error enters: see below." if more else ""
    return f"{AGAIN if found.first.cause else SEARCH}{rest}"


def basis(found: Bisection) -> str:
    """Return on what inputs and weights the answer holds."""
    words = (f"Inputs: {found.inputs}" if found.inputs else "", f"weights: {found.weights}" if found.weights else "")
    said = "; ".join(filter(None, words))
    return f"{said[:1].upper()}{said[1:].rstrip('.')}." if said else ""


def happens(tap: Tap) -> str:
    """Return what happens to an error at a tap, in few words; nothing where nothing does."""
    if tap.enters:
        return "enters, and no output shows it" if tap.harmless else "enters"
    if tap.harmless:
        return "harmless"
    return "" if tap.amplified is None else f"amplified {numbers.number(tap.amplified)} ×"


def decibels(value: float) -> str:
    """Return an SQNR; an infinite one means that both tensors are equal."""
    return "equal" if value == math.inf else numbers.decibels(value)


def _where(first: First) -> str:
    named = f"{shown(first.operator)} {shown(first.node)}".strip()
    tap = "" if first.tap in (first.node, "") else f" ({shown(first.tap)})"
    own = first.own_inputs
    return (
        f"An error enters at {named}{tap}: on the reference's own inputs its output is {numbers.number(own.max_abs)} "
        f"off (SQNR {decibels(own.sqnr_db)})."
    )


def _outputs(found: Bisection) -> str:
    wrong = [name for name, _, passed in found.outputs if not passed]
    total = len(found.outputs)
    if wrong:
        return f"{len(wrong)} of {counted(total, 'output')} are beyond tolerance ({few(map(shown, wrong))})"
    return f"{total} of {counted(total, 'output')} are within tolerance"
