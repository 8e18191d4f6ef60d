"""What a changed file means: it fails, for its digest differs, unless it does not run and so nothing can be judged."""

from dataclasses import replace
from pathlib import Path

from lwmport.errors import PortError
from lwmport.reports.record import ComponentReport
from lwmport.runtime.isolated import run_all
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.samples import samples
from lwmport.types import Status
from lwmport.verdicts import Fault


def as_it_runs(part: ComponentReport, folder: Path, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Return faults as whoever runs the model would find them: nothing failed in a model that its runtime refuses.

    It runs once, in a process of its own, and only where a digest differs.
    """
    if not any(fault.status is Status.FAILED for fault in faults):
        return faults
    if _runs(part, folder / part.validation.artifact):
        return faults
    return tuple(replace(fault, status=Status.NOT_JUDGED) for fault in faults)


def _runs(part: ComponentReport, path: Path) -> bool:
    try:
        feed = samples(part.signature.inputs, {})
        (outputs,) = run_all(path, [feed], RunnerContext(signature=part.signature)).outputs
    except PortError:
        return False
    return not isinstance(outputs, PortError)
