"""What the jobs of a file need is there before the first of them starts."""

from lwmport.converters import converter_for
from lwmport.errors import PortError, UsageError
from lwmport.pipeline.convert.work import open_request
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.port.jobs import Jobs, PortJob
from lwmport.runtime.registry import check_runs, check_startable
from lwmport.targets.compile.tools import installed
from lwmport.wording import few


def check_ready(asked: Jobs, *, here: bool) -> None:
    """Return if every job has the checkpoint that it names, of its model, its toolchain, and what its runner needs.

    Headers are read and no weight is. ``here`` is whether jobs run on this machine: another one has tools and devices
    of its own.

    Raises:
        PortError: some have not; the message says each fault once, with the jobs that it stops.
    """
    faults: dict[str, list[str]] = {}
    kinds: set[type[PortError]] = set()
    for job in asked.jobs:
        fault = _fault(job, here=here)
        if fault:
            faults.setdefault(str(fault), []).append(job.name)
            kinds.add(UsageError if isinstance(fault, UsageError) else PortError)
    if faults:
        told = "; ".join(f"{fault} ({few(names)})" for fault, names in faults.items())
        stopped = sum(map(len, faults.values()))
        kind = UsageError if kinds == {UsageError} else PortError
        raise kind(f"{stopped} of {len(asked.jobs)} jobs cannot start, so that none was started: {told}")


def _fault(job: PortJob, *, here: bool) -> PortError | None:
    request, conversion = job.request, job.request.conversion
    try:
        if here and request.toolchain is not None:
            installed(request.target, request.toolchain)
        if here and request.runner is not None:
            check_startable(request.runner)
        if here:
            converter_for(request.converted.lowering)
            check_runs(conversion.suffix, request.converted.runner)
        check_writable(request.out)
        if conversion.checkpoint is not None or conversion.adapter is not None:
            open_request(request.converted)
    except PortError as error:
        return error
    return None
