"""Which devices a model fits, and the first change that makes it fit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from lwmport import memory
from lwmport.pipeline.footprint.record import NO, UNKNOWN, WITH, YES, Case, Change, Device
from lwmport.pipeline.footprint.storage import PRECISIONS
from lwmport.registry import check_known
from lwmport.targets.registry import TARGETS
from lwmport.targets.target import Target

Total = Callable[[Case], int]

CHUNKS: Final = (1024, 128)
"""Tokens of a prompt at once that are tried."""

STEP: Final = 64
"""A context that is offered is a multiple of it."""

LEAST: Final = 256
"""Tokens: a shorter context is not offered."""

NARROWER: Final = ("float16", "int8", "nf4-double")
"""Precisions that are tried, widest first."""

MACHINE: Final = "this machine"


def known_devices(target: str | None, soc: str | None, own: int | None) -> tuple[Device, ...]:
    """Return the devices that are asked about, those with the same memory as one.

    Raises:
        UsageError: the target has no such device.
    """
    if own is not None:
        return (Device(target=target or "", names=("--memory",), memory=own, usable=None, fits=UNKNOWN),)
    targets = [TARGETS[target]] if target else [TARGETS[name] for name in TARGETS]
    return tuple(device for one in targets for device in _devices(one, soc))


def _devices(target: Target, soc: str | None) -> Iterator[Device]:
    if target.engines:
        total = memory.total_bytes()
        yield Device(target=target.name, names=(MACHINE,), memory=total, usable=None, fits=UNKNOWN)
        return
    if soc is not None and target.chip(soc) is None:
        check_known(f"device of {target.name}", soc, target.chips)
    groups: dict[tuple[int | None, int | None], list[str]] = {}
    for name, chip in target.chips.items():
        if soc is None or target.chip(soc) == chip:
            groups.setdefault((chip.memory, chip.usable), []).append(name)
    for (total, usable), names in groups.items():
        yield Device(target=target.name, names=tuple(names), memory=total, usable=usable, fits=UNKNOWN)


def judged(device: Device, case: Case, total: Total) -> Device:
    """Return a device with whether the case fits it, and if not, the first change with which it does."""
    if device.memory is None:
        return replace(device, note="its memory is not known here: say --memory")
    room = device.usable or device.memory
    needed = total(case)
    if needed <= room:
        return replace(device, fits=YES)
    change = next(changes(case, total, room), None)
    devices = -(-needed // room)
    note = f"as it is, at least {devices} such devices, with the model cut between them"
    return replace(device, fits=WITH if change else NO, change=change, note=note)


def changes(case: Case, total: Total, room: int) -> Iterator[Change]:
    """Yield what makes a case fit, the least change first: pieces of the prompt, context, batch, precision, both."""
    for one in _pieces(case):
        if (count := total(one)) <= room:
            yield Change(words=f"--chunk {one.chunk}", bytes=count)
    pieces = next(_pieces(case), case)
    found = _context(pieces, total, room)
    if found is not None:
        chunk = f"--chunk {pieces.chunk} " if pieces is not case else ""
        yield Change(words=f"{chunk}--context {found.context}", bytes=total(found))
    if case.batch > 1 and (batch := _batch(case, total, room)) is not None:
        yield Change(words=f"--batch {batch.batch}", bytes=total(batch))
    for precision in _narrower(case.precision):
        one = replace(case, precision=precision)
        if (count := total(one)) <= room:
            yield Change(words=f"--precision {precision}", bytes=count)
        found = _context(one, total, room)
        if found is not None:
            yield Change(words=f"--precision {precision} --context {found.context}", bytes=total(found))


def _pieces(case: Case) -> Iterator[Case]:
    for chunk in CHUNKS:
        if chunk < case.chunk:
            yield replace(case, chunk=chunk)


def _narrower(precision: str) -> tuple[str, ...]:
    place = PRECISIONS.index("float16" if precision == "bfloat16" else precision)
    return tuple(name for name in NARROWER if PRECISIONS.index(name) > place)


def _context(case: Case, total: Total, room: int) -> Case | None:
    """Return the case with the longest context that fits; None where none is worth it."""
    low, high = LEAST // STEP, case.context // STEP
    if high < low or total(_shorter(case, LEAST)) > room:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if total(_shorter(case, middle * STEP)) <= room:
            low = middle
        else:
            high = middle - 1
    return _shorter(case, low * STEP)


def _shorter(case: Case, context: int) -> Case:
    return replace(case, context=context, chunk=min(case.chunk, context))


def _batch(case: Case, total: Total, room: int) -> Case | None:
    low, high = 0, case.batch
    while low < high:
        middle = (low + high + 1) // 2
        if total(replace(case, batch=middle)) <= room:
            low = middle
        else:
            high = middle - 1
    return replace(case, batch=low) if low else None
