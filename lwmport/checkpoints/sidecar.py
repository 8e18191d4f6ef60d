"""What lwmport writes beside a checkpoint that it makes: the configuration that no tensor tells, and a seed if any.

``NAME.lwmport.json`` belongs to the file ``NAME`` as it was when both were written. A digest of the list of tensors
and of samples of their bytes ties the two together, so that one that belongs to another file is not believed. Taking it
reads some KiB of each tensor.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lwmport import plain
from lwmport.atomic import new_file
from lwmport.checkpoints.cursor import opened
from lwmport.checkpoints.index import Checkpoint
from lwmport.errors import ArtifactError, CheckpointError, UsageError

FORMAT: Final = "lwmport-checkpoint/1"
SUFFIX: Final = ".lwmport.json"
LIMIT: Final = 1 << 20
"""Bytes that such a file may have; a larger one is none of ours."""

SAMPLE: Final = 1024
"""Bytes that are taken of a tensor at its front, in its middle and at its end."""


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What stands beside a checkpoint.

    Attributes:
        format: `FORMAT`.
        family: the family of the model.
        config: its configuration, as plain JSON values.
        seed: the seed of random weights; None for weights of another origin.
        tensors_sha256: what `fingerprint` returned for the checkpoint.
        name: of this file. It is not written.
    """

    format: str
    family: str
    config: Mapping[str, Any]
    seed: int | None
    tensors_sha256: str
    name: str = field(default="", metadata={"added": True})


def path_beside(checkpoint: Path) -> Path:
    """Return where the file beside a checkpoint lies."""
    return checkpoint.with_name(checkpoint.name + SUFFIX)


def sidecar_of(checkpoint: Checkpoint) -> Sidecar | None:
    """Return what stands beside a checkpoint and belongs to it; None where nothing does."""
    path = path_beside(checkpoint.path)
    if checkpoint.path.is_dir() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
        found = plain.decode(Sidecar, plain.parsed(content), path.name) if len(content) <= LIMIT else None
    except (OSError, ValueError, RecursionError, ArtifactError):
        return None
    if found is None or found.format != FORMAT or found.tensors_sha256 != fingerprint(checkpoint):
        return None
    return Sidecar(**{**vars(found), "name": path.name})


def owned(checkpoint: Path) -> Collection[str]:
    """Return the name of the file beside a checkpoint, if it is ours and may be replaced."""
    path = path_beside(checkpoint)
    try:
        with path.open("rb") as file:
            own = not path.is_symlink() and FORMAT.encode() in file.read(LIMIT)
    except OSError:
        own = False
    return (path.name,) if own else ()


def check_free(checkpoint: Path) -> None:
    """Return if nothing of somebody else's stands where the file beside a checkpoint goes.

    Raises:
        UsageError: something does.
    """
    path = path_beside(checkpoint)
    if os.path.lexists(path) and not owned(checkpoint):
        raise UsageError(f"expected nothing or a file of lwmport's at {path}, found another; remove it or rename it")


def write_beside(checkpoint: Checkpoint, family: str, config: Mapping[str, Any], seed: int | None) -> None:
    """Write the file beside a checkpoint.

    Raises:
        PortError: it cannot be written.
    """
    made = {
        "format": FORMAT,
        "family": family,
        "config": dict(config),
        "seed": seed,
        "tensors_sha256": fingerprint(checkpoint),
    }
    with new_file(path_beside(checkpoint.path)) as file:
        file.write(json.dumps(made, indent=1, allow_nan=False).encode() + b"\n")


def fingerprint(checkpoint: Checkpoint) -> str:
    """Return the SHA-256 of the names, dtypes and shapes of all tensors, and of three samples of each one's bytes.

    Raises:
        CheckpointError: the file cannot be read.
    """
    found = hashlib.sha256()
    with opened(checkpoint.path) as cursor:
        for name, entry in sorted(checkpoint.entries.items()):
            found.update(json.dumps([name, entry.dtype, list(entry.shape)]).encode())
            for offset, length in entry.pieces:
                for begin in dict.fromkeys((0, max(0, length // 2 - SAMPLE // 2), max(0, length - SAMPLE))):
                    found.update(_sample(cursor.descriptor, offset + begin, min(SAMPLE, length - begin)))
    return found.hexdigest()


def _sample(descriptor: int, offset: int, length: int) -> bytes:
    try:
        return os.pread(descriptor, length, offset)
    except OSError as error:
        raise CheckpointError(f"cannot read offset {offset}: {error.strerror or error}") from error
