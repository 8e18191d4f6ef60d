"""What the targets give to a bundle: the compiler's commands and files, the rules' findings, the operators."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.errors import PortError
from lwmport.handoff.inventory import inventory
from lwmport.handoff.inventory import text as inventory_text
from lwmport.handoff.staging import Staging
from lwmport.manifest import ComponentEntry
from lwmport.runtime.registry import RUNNERS
from lwmport.targets.compile.job import CompileJob, Gear
from lwmport.targets.compile.socs import chip_of
from lwmport.targets.graphs.opening import READERS
from lwmport.targets.preflight import Conditions, check
from lwmport.targets.registry import TARGETS
from lwmport.types import Array, Preflight

MODELS: Final = "models"
"""The folder of the artifacts, in the scratch folder as in the bundle."""

RULE_PRECISIONS: Final = {"mixed": "float16", "int8": ""}
"""A compiler's precision -> the one that the rules are asked about; empty for the target's usual one."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """Whom a bundle is for: target, chip, what its compiler computes in, and sizes of dynamic dimensions."""

    target: str
    soc: str | None
    precision: str
    gears: tuple[Gear, ...] = ()


def device_for(target: str, soc: str | None, precision: str | None, gears: tuple[Gear, ...] = ()) -> Device:
    """Return the device that is meant, with what is usual for the target's compiler where nothing is named.

    Raises:
        UsageError: the compiler has no usual chip and none is named, or it knows none of that name.
    """
    asked = TARGETS[target]
    precision = precision or asked.precision
    if asked.chips and (soc or asked.asks_chip):
        chip_of(asked, soc, precision)
    return Device(target=target, soc=soc, precision=precision, gears=gears)


@contextlib.contextmanager
def own_paths(staging: Staging, folder: Path) -> Iterator[None]:
    """Let errors inside the block name the models where they lie, in ``folder``, rather than in the scratch folder."""
    try:
        yield
    except PortError as error:
        raise type(error)(str(error).replace(str(staging.folder / MODELS), str(folder))) from error


def compile_files(  # noqa: PLR0913 - what a job has, the last two of a stranger's model
    staging: Staging,
    device: Device,
    part: ComponentEntry,
    form: str,
    calibration: Mapping[str, Array],
    *,
    own: bool = True,
    quantised: bool = False,
) -> tuple[str, ...]:
    """Put the compiler's script and configuration into ``compile/COMPONENT`` and return its commands; nothing is run.

    They name the model by its place in the bundle, for the scratch folder has the artifacts as ``models`` too.

    Raises:
        UsageError: the target's compiler does not take this artifact, device or precision.
    """
    out = staging.folder / "compile" / part.name
    job = CompileJob(
        path=staging.folder / MODELS / part.path,
        name=part.name,
        format=form,
        signature=part.signature,
        operators=part.operators,
        soc=device.soc,
        precision=device.precision,
        gears=device.gears,
        calibration=calibration,
        own=own,
        quantised=quantised,
        run=False,
        within=staging.folder,
    )
    made = TARGETS[device.target].compile_artifact(job, out)
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        staging.put(f"compile/{part.name}/{path.relative_to(out).as_posix()}", path)
    return made.commands


def check_files(staging: Staging, device: Device, part: ComponentEntry, form: str, folder: Path) -> Preflight | None:
    """Put what the target's rules and lists say about a model into ``check/COMPONENT`` and return the findings.

    There are none for a format that the rules do not read.
    """
    operators = inventory(device.target, form, part)
    staging.put_json(f"check/{part.name}/operators.json", operators)
    staging.put(f"check/{part.name}/operators.txt", inventory_text(operators).encode())
    if Path(part.path).suffix not in READERS:
        return None
    precision = RULE_PRECISIONS.get(device.precision, device.precision)
    soc = device.soc if TARGETS[device.target].usual_chip else None
    found = check(folder / part.path, Conditions(target=device.target, chip=soc or "", precision=precision))
    staging.put_json(f"check/{part.name}/preflight.json", found)
    staging.put(f"check/{part.name}/preflight.txt", _text(found).encode())
    return found


def runtime_of(device: Device, form: str) -> str | None:
    """Return the runner of a bundle's verify.py that runs models of a format as they are; None if it has none."""
    engines = TARGETS[device.target].engine_names(form)
    name = (device.soc or engines[0]) if engines else ""
    return name if name in RUNNERS and RUNNERS[name].bundled else None


def _text(found: Preflight) -> str:
    whom = f"{found.target} {found.chip}".rstrip()
    lines = [f"{found.artifact} against the rules for {whom}: {found.status}, {len(found.findings)} findings"]
    for finding in found.findings:
        lines += [
            "",
            f"{finding.severity} {finding.rule}  {finding.title}",
            f"  where:  {finding.where or 'the whole model'} {finding.operator}".rstrip(),
            f"  found:  {finding.found}",
            f"  vendor: {finding.vendor}",
            f"  fix:    {finding.fix}",
        ]
    return "\n".join(lines) + "\n"
