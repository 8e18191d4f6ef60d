"""What the targets give to a bundle: the compiler's commands and files, the rules' findings, the operators."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwmport.handoff.staging import Staging
from lwmport.manifest import ComponentEntry
from lwmport.targets.compile import COMPILERS
from lwmport.targets.compile.job import Job
from lwmport.types import Array, Compilation


@dataclass(frozen=True, kw_only=True)
class Device:
    """Whom a bundle is for: the target, its device, and the precision that its compiler is asked for."""

    target: str
    soc: str | None
    precision: str


def compile_files(
    staging: Staging, device: Device, folder: Path, part: ComponentEntry, calibration: Mapping[str, Array]
) -> tuple[str, ...]:
    """Put the compiler's script and configuration into ``compile/COMPONENT`` and return its commands; nothing is run.

    They name the model by its place in the bundle, as does the link ``models`` to ``folder`` in the scratch folder.

    Raises:
        UsageError: the target's compiler does not take this artifact, device or precision.
    """
    models = staging.folder / "models"
    if not models.exists():
        models.symlink_to(folder.absolute(), target_is_directory=True)
    out = staging.folder / "compile" / part.name
    job = Job(
        path=models / part.path,
        name=part.name,
        format=_format(part),
        signature=part.signature,
        operators=part.operators,
        soc=device.soc,
        precision=device.precision,
        calibration=calibration,
        run=False,
    )
    made: Compilation = COMPILERS[device.target](job, out)
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        staging.put(f"compile/{part.name}/{path.relative_to(out).as_posix()}", path)
    return made.commands


def preflight_files(staging: Staging, device: Device, part: ComponentEntry) -> None:
    """Put what the target's rules say about a model, and its operators, into ``check/COMPONENT``."""
    staging.put_json(f"check/{part.name}/operators.json", _inventory(device.target, part))


def _inventory(target: str, part: ComponentEntry) -> dict[str, Any]:
    """Return how often each operator occurs."""
    return {"target": target, "component": part.name, "operators": dict(sorted(part.operators.items()))}


def _format(part: ComponentEntry) -> str:
    forms = {".onnx": "onnx", ".tflite": "tflite", ".pb": "frozen_graph", ".saved_model": "saved_model"}
    return forms[Path(part.path).suffix]
