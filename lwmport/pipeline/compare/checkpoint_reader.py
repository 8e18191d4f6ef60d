"""A checkpoint as a structure: the modules that its tensors are in. Nothing of a tensor is read."""

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.pipeline.compare.placement import SEPARATOR
from lwmport.pipeline.compare.structure import Parameter, Structure, bounded
from lwmport.reports.comparison.facts import Tensor


def read_checkpoint(text: str) -> Structure:
    """Return the structure of a checkpoint, whose path may have one of LWM's prefixes.

    Raises:
        CheckpointError: it is missing, damaged, hostile or of an unknown format.
    """
    found = open_checkpoint(text)
    return Structure(
        kind=f"a checkpoint ({found.format})",
        vocabulary="",
        parameters=tuple(_parameters(found)),
        notes=found.findings.remarks,
    )


def _parameters(found: Checkpoint) -> list[Parameter]:
    """Return the tensors in the order of the file: names are in parts by slashes, or by dots where there are none."""
    made = []
    for name, spec in found.specs.items():
        *path, leaf = [part for part in (name.split("/") if "/" in name else SEPARATOR.split(name)) if part] or [name]
        tensor = Tensor(name=leaf, shape=spec.shape, dtype=spec.dtype)
        made.append(Parameter(path=bounded(path), full=name, tensor=tensor))
    return made
