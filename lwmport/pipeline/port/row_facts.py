"""What a row of the index of ports says of a job: what it was asked for, and what it left in its folder."""

import contextlib
from collections.abc import Mapping
from typing import Any

from lwmport import manifest
from lwmport.errors import ArtifactError
from lwmport.pipeline.port.run import PortRequest
from lwmport.pipeline.port.standing import COMPILED
from lwmport.reports.cases import every_case, short
from lwmport.reports.files import read_report
from lwmport.reports.ports import OutputFact
from lwmport.types import Kind, TensorDiff


def asked(request: PortRequest) -> dict[str, Any]:
    """Return the fields of a row that the request alone decides."""
    conversion = request.conversion
    return {
        "component": conversion.component,
        "format": conversion.format,
        "dialect": request.dialect,
        "precision": conversion.options.precision,
        "soc": request.chip or "",
    }


def left(request: PortRequest) -> dict[str, Any]:
    """Return the fields of a row that are read from the folder of a port."""
    return {"files": _sizes(request), "outputs": _outputs(request)}


def _sizes(request: PortRequest) -> Mapping[str, int]:
    """Return the bytes of the models, of what was compiled, and of the bundle, where there are such."""
    models = 0
    with contextlib.suppress(ArtifactError):
        parts = manifest.read(request.models).components
        models = sum({file.name: file.bytes for part in parts for file in part.files}.values())
    compiled = sum(path.stat().st_size for path in (request.out / COMPILED).rglob("*") if path.is_file())
    bundle = request.bundle.stat().st_size if request.bundle.is_file() else 0
    found = {"models": models, "compiled": compiled, "bundle": bundle}
    return {name: size for name, size in found.items() if size}


def _outputs(request: PortRequest) -> tuple[OutputFact, ...]:
    """Return the worst output of each case that was compared."""
    try:
        report = read_report(request.models)
    except ArtifactError:
        return ()
    return tuple(
        OutputFact(
            component=case.component,
            name=f"{case.name}: {short(case.worst)}" if case.name else short(case.worst),
            status=case.status,
            error=_error(case.worst),
            used=_used(case.worst),
        )
        for case in every_case(report.components)
        if case.worst.metrics
    )


def _error(diff: TensorDiff) -> float:
    return float(diff.metrics["mismatches" if diff.kind is Kind.INDICES else "max_abs_error"])


def _used(diff: TensorDiff) -> float:
    if diff.kind is not Kind.INDICES:
        return float(diff.metrics["tolerance_used"])
    return float(diff.metrics["mismatches"] > diff.metrics["near_ties"])
