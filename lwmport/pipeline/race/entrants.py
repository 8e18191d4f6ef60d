"""Who takes part in a race: every way of the target, with the model file that was named and its siblings.

A sibling is the same component of the same weights with the same inputs and outputs, converted to another format or
dialect: it lies in a folder beside that of the model, with a manifest of its own.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from lwmport import manifest
from lwmport.errors import ArtifactError
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.pipeline.reopen import Converted
from lwmport.registry import load
from lwmport.targets.compile.job import CompileJob, has_integers
from lwmport.targets.contender import Contender
from lwmport.targets.target import Target

MOST: Final = 64
"""Folders beside that of the model that are looked into."""

JobOf: TypeAlias = Callable[[Converted, ComponentEntry], CompileJob]
"""Makes the job of a component of a converted folder."""


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """One way with one model file, and why it cannot take part, if it cannot."""

    job: CompileJob
    contender: Contender
    artifact: str
    lack: str = ""

    @property
    def name(self) -> str:
        """The way in words, with the folder of the file where that is not the one that was named."""
        folder = self.artifact.rpartition("/")[0]
        return f"{self.contender.name}{f' ({folder})' if folder else ''}"


def entrants(target: Target, job: CompileJob, found: Converted | None, job_of: JobOf) -> tuple[Entrant, ...]:
    """Return all that may be raced, the usual way of the model that was named first."""
    jobs = [job, *(siblings(job, found, job_of) if found is not None else ())]
    return tuple(
        Entrant(job=one, contender=way, artifact=_path(one.path, job.path.parent), lack=way.lack)
        for one in jobs
        for way in load(target.contenders)(one.format, integers=has_integers(one))
    )


def _path(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def siblings(job: CompileJob, found: Converted, job_of: JobOf) -> Iterator[CompileJob]:
    """Yield the jobs of the same component in the folders beside, in the order of their names."""
    (part,) = (one for one in found.manifest.components if one.name == job.name)
    folders = sorted(path.parent for path in found.folder.absolute().parent.glob(f"*/{manifest.NAME}"))
    for folder in folders[:MOST]:
        if folder == found.folder.absolute():
            continue
        try:
            made = manifest.read(folder)
        except ArtifactError:
            continue  # a damaged folder of somebody is none of ours
        for other in made.components:
            beside = Converted(folder=folder, manifest=made, parts=(other,))
            if _is_sibling(found.manifest, part, made, other) and not beside.changed_files():
                yield job_of(replace(beside, checkpoint=found.checkpoint, adapter=found.adapter), other)


def _is_sibling(made: Manifest, part: ComponentEntry, others: Manifest, other: ComponentEntry) -> bool:
    own, theirs = (
        (one.weights_sha256, one.config, entry.name, entry.signature) for one, entry in ((made, part), (others, other))
    )
    return own == theirs
