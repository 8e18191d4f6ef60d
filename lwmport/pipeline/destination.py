"""The device that converted models are meant for, by the name that people know: "Ascend 310P3"."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lwmport.reports.record import CPU, ComponentReport, Destination
from lwmport.runtime.registry import RUNNERS, takers
from lwmport.targets.dialects import target_of
from lwmport.targets.registry import TARGETS

ANY: Final = "any device"
"""The name where a dialect is nobody's in particular."""

EMULATED: Final = "on the CPU"
"""What the title of a runner says that computes as a device does, without one."""


def is_here(target: str) -> bool:
    """Return whether a target is this machine, on which models are judged anyway."""
    return bool(TARGETS[target].engines)


def destination_of(sections: Iterable[ComponentReport]) -> Destination | None:
    """Return what the models of a report are meant for: the target of their dialect; None for a CPU."""
    parts = list(sections)
    targets = {target_of(part.artifact.dialect) for part in parts}
    target = targets.pop() if len(targets) == 1 else None
    if (target is not None and is_here(target)) or not parts:
        return None
    chips = {part.preflight.chip for part in parts if part.preflight is not None} - {""}
    return Destination(name=ANY if target is None else device_name(target, *chips))


def device_name(target: str, *chips: str) -> str:
    """Return the name of a device: the target's title and the chip, the usual one if none is named."""
    record = TARGETS[target]
    chip = chips[0] if len(chips) == 1 else record.usual_chip
    rest = chip.removeprefix(record.title)
    return f"{record.title} {rest}".strip()


def place_of(path: Path, runner: str | None) -> tuple[str, bool]:
    """Return where a runner, or the usual one of a file, runs it, and whether that is a vendor's device."""
    specs = takers(path.suffix) if runner is None else [RUNNERS[runner]]
    if not specs or not specs[0].device:
        return CPU, False
    return specs[0].title, EMULATED not in specs[0].title
