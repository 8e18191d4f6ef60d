"""What a device's tensors come to: where it leaves the reference, on its own inputs."""

from pathlib import Path

from lwmport.pipeline.bisect.anchors import Anchors
from lwmport.pipeline.bisect.device import ROUNDING, Device, search_device
from lwmport.pipeline.bisect.jax_side import JaxSide
from lwmport.pipeline.bisect.reference import Lowering
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.walk import same_bytes
from lwmport.pipeline.bisect.whole import fed
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.pipeline.validate.subject import Subject
from lwmport.reports.bisection import Bisection
from lwmport.types import Status


def of_device(
    request: BisectRequest,
    subject: Subject,
    converted: Converted,
    lowering: Lowering,
    reference: tuple[ReferenceRun, JaxSide],
    observer: Observer,
) -> Bisection:
    """Return what is found in the tensors that a device gave."""
    run, jax = reference
    pieces, part = lowering.pieces, subject.part
    device = Device(request.results or Path(), pieces)
    usual = fed(run, subject, pieces)
    case = device.inputs(usual)
    is_usual = all(same_bytes(case[name], value) for name, value in usual.items())
    anchors = jax.anchors(0, run.inputs) if is_usual else Anchors({}, ())
    observer.phase(f"{part.name}: hold {len(device.tensors)} tensors of {device.brought.kind} against the reference")
    found = search_device(pieces, device, case, anchors, observer.progress)
    wrong = bool(found.places)
    notes = (
        f"{len(device.tensors)} tensors of {device.brought.kind} are matched by their names",
        f"a difference of up to {ROUNDING:g} of the largest value counts as the rounding of half precision",
        "the device's own inputs are among them" if not is_usual else "the reference runs on the inputs named above",
        *device.notes,
    )
    return Bisection(
        status=Status.FAILED if wrong else Status.PASSED,
        component=part.name,
        artifact=str(subject.path),
        reference=f"{run.reference}, and its lowering an operator at a time",
        runner=f"a device: {device.brought.kind} in {request.results}",
        inputs=run.description if is_usual else f"those of {request.results}",
        strict=request.strict,
        first=found.first,
        others=found.others,
        taps=tuple(found.taps),
        notes=notes,
        weights=str(converted.manifest.weights["description"]),
    )
