"""A machine against the table of checks: what was found, and whether the target can be worked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.extras import EXTRAS
from lwmport.targets.doctor.cards import Card
from lwmport.targets.doctor.check import Remark
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.doctors import ANY_MACHINE, cards
from lwmport.targets.doctor.machine import Machine
from lwmport.targets.registry import TARGETS, THIS_MACHINE
from lwmport.types import Severity, Status

_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The verdict on a machine. ``installed`` are our distributions, ``missing`` our extras, with what brings them."""

    target: str
    status: Status
    sentence: str
    cards: tuple[Card, ...]
    installed: Mapping[str, str]
    missing: Mapping[str, str]
    remarks: tuple[Remark, ...]


def examine(machine: Machine, target: str | None = None, installed: Mapping[str, str] | None = None) -> Examination:
    """Return what stands in the way of a target on a machine; without a target, of working on it at all.

    A vendor's checks are made if its target is asked for, or if the machine shows that it is meant for it; in the
    second case they do not decide the verdict.

    Raises:
        UsageError: no such target.
    """
    asked = target or THIS_MACHINE
    TARGETS.require(asked)
    remarks = sorted(_remarks(machine, target), key=lambda pair: _ORDER.index(pair[0].severity))
    blocking = [remark for remark, decides in remarks if decides and remark.severity is Severity.ERROR]
    count = len(blocking)
    sentence = f"{asked} is not ready: {count} problem{'s' * (count != 1)}" if count else f"ready for {asked}"
    return Examination(
        target=asked,
        status=Status.FAILED if blocking else Status.PASSED,
        sentence=sentence,
        cards=cards(machine),
        installed=dict(installed or {}),
        missing=_missing(machine),
        remarks=tuple(remark for remark, _ in remarks),
    )


def _remarks(machine: Machine, target: str | None) -> Iterator[tuple[Remark, bool]]:
    """Yield what the checks find, and whether it decides the verdict."""
    yield from ((remark, True) for remark in _found(machine, ANY_MACHINE))
    for fault in TARGETS.faults.values():
        found, _, fix = fault.rpartition("; ")
        yield Remark(check="targets", severity=Severity.WARNING, found=found, fix=fix), False
    for name in TARGETS:
        doctor = TARGETS[name].machine_doctor
        decides = name == (target or THIS_MACHINE)
        seen = target is None and doctor is not None and any(_shows(machine, sign) for sign in doctor.signs)
        if doctor is not None and (decides or seen):
            yield from ((remark, decides) for remark in _found(machine, doctor))


def _found(machine: Machine, doctor: Doctor) -> Iterator[Remark]:
    for check in doctor.checks:
        for severity, found, fix in check.look(machine):
            yield Remark(check=check.name, severity=severity, found=found, fix=fix)


def _shows(machine: Machine, sign: str) -> bool:
    return sign in machine.tools or (sign.startswith("/") and machine.has_file(sign))


def _missing(machine: Machine) -> dict[str, str]:
    """Return the extras that are not installed -> the line that installs them."""
    present = {name.replace("-", "_") for name in machine.distributions} | {
        "tensorflow" for name in machine.distributions if name.startswith("tensorflow-cpu")
    }
    extras = sorted({extra for module, extra in EXTRAS.items() if module not in present})
    return {extra: f"pip install 'lwmport[{extra}]'" for extra in extras}
