"""A memory plan: weights, KV cache, values and workspace of a model, the devices that it fits, and what to change."""

from dataclasses import replace
from typing import Final

from lwmport.converters.dialects import DEFAULTS, dialect_for
from lwmport.errors import UnusedOptionError, UsageError
from lwmport.pipeline.footprint.devices import judged, known_devices
from lwmport.pipeline.footprint.record import NO, WITH, Case, Device, MemoryPlan
from lwmport.pipeline.footprint.request import PlanRequest
from lwmport.pipeline.footprint.storage import PACKINGS, PRECISIONS
from lwmport.pipeline.footprint.subject import Subject, subject_of
from lwmport.pipeline.footprint.terms import WHOLE_SCORES, Sizing
from lwmport.pipeline.observer import Observer, Silent
from lwmport.registry import load
from lwmport.reports import numbers
from lwmport.requests import by_fields
from lwmport.targets.registry import TARGETS
from lwmport.targets.residence import PLAIN

CONTEXT: Final = 2048
"""Tokens where no number is asked for."""

LOOP: Final = "loop"


@by_fields(PlanRequest)
def plan(request: PlanRequest, observer: Observer | None = None) -> MemoryPlan:
    """Return what a model takes of a device's memory, from its shapes alone: no weight is read.

    Raises:
        PortError: there is no such model, or its file cannot be read.
        UsageError: an unknown target or device, or more tokens than the model has positions.
    """
    observer = observer or Silent()
    subject = subject_of(request.model, request.config, request.settings)
    devices = known_devices(request.target, request.soc, request.memory_bytes())
    observer.phase(f"trace {subject.title}")
    sizing = _sizing(subject, request)
    case = _case(sizing, request)
    terms = sizing.terms(case)
    total = sum(term.bytes for term in terms)
    observer.phase("hold it against the devices")
    found = tuple(judged(device, case, sizing.total) for device in devices)
    return MemoryPlan(
        model=subject.title,
        case=case,
        target=request.target or "",
        parameters=sizing.parameters(case.precision),
        terms=terms,
        total=total,
        precisions=_precisions(sizing, case),
        attention=sizing.by_attention(case),
        devices=found,
        advice=tuple(_advice(found)),
        notes=tuple(_notes(subject, sizing, request, case)),
    )


def _sizing(subject: Subject, request: PlanRequest) -> Sizing:
    """Return what counts the model as the runtime of the target, or one that holds everything once, holds it."""
    if request.target is None:
        names = None
        attention, residence = request.attention, PLAIN
    else:
        target = TARGETS[request.target]
        dialect = next(iter(target.formats.values()))
        names = frozenset(dialect.composites)
        attention = request.attention or ("" if dialect.attention == "fused" else LOOP)
        residence = load(target.residence)
    if attention == WHOLE_SCORES:
        names = frozenset(name for name in (names or _all_composites()) if "attention" not in name)
    return Sizing(subject=subject, residence=residence, composites=names, attention=LOOP if attention == LOOP else "")


def _all_composites() -> frozenset[str]:
    return frozenset(name for form in DEFAULTS for name in dialect_for(form).composites)


def _case(sizing: Sizing, request: PlanRequest) -> Case:
    precision = request.precision
    if not sizing.has_tokens(precision):
        for name in ("context", "chunk"):
            if getattr(request, name) is not None:
                raise UnusedOptionError(f"expected no --{name} for {request.model}, which keeps no tokens", name)
        return Case(precision=precision, context=0, batch=request.batch, chunk=0)
    positions = sizing.positions(precision)
    context = request.context or min(CONTEXT, positions or CONTEXT)
    if positions is not None and context > positions:
        raise UsageError(
            f"expected at most {positions:,} tokens as --context, the positions of {request.model}, found {context:,}; "
            f"for longer ones --set max_sequence_length={context}"
        )
    chunk = min(request.chunk or context, context)
    return Case(precision=precision, context=context, batch=request.batch, chunk=chunk)


def _precisions(sizing: Sizing, case: Case) -> dict[str, int]:
    """Return the total in each precision; a dtype that nobody asked for is not traced anew."""
    packed = () if sizing.residence.widened else PACKINGS
    wanted = [name for name in PRECISIONS if name in (case.precision, "float16", *packed)]
    return {name: sizing.total(replace(case, precision=name)) for name in wanted}


def _advice(devices: tuple[Device, ...]) -> list[str]:
    found = []
    for device in devices:
        names = f"{device.target} {device.names[0]}" + (" and others" if len(device.names) > 1 else "")
        room = device.usable or device.memory
        if device.fits == WITH and device.change is not None and room is not None:
            found.append(
                f"for {names} ({numbers.size(room)}): {device.change.words} takes {numbers.size(device.change.bytes)}"
            )
        elif device.fits == NO and room is not None:
            found.append(f"for {names} ({numbers.size(room)}): {device.note}")
    return list(dict.fromkeys(found))


def _notes(subject: Subject, sizing: Sizing, request: PlanRequest, case: Case) -> list[str]:
    found = []
    if request.context is None and case.context:
        found.append(f"a context of {case.context:,} tokens is assumed: say --context")
    if subject.picture_tokens:
        found.append(f"a picture takes {subject.picture_tokens} of the tokens")
    if case.precision in PACKINGS:
        found.append(f"{case.precision} is what bitsandbytes holds; lwmport writes no such artifact")
    if not sizing.residence.process:
        found.append("not counted: what the driver and the libraries of a device take for themselves")
    return found
