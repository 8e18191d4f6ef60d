"""The parts of a language model in a folder, opened for a rank."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from lwmport import manifest
from lwmport.errors import ArtifactError
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.models.spec import RingParts
from lwmport.models.specs import spec_of
from lwmport.runtime.registry import open_runner
from lwmport.runtime.ring.fixed import FixedRunner, fixed_count
from lwmport.runtime.ring.model import RingModel
from lwmport.runtime.session.layout import POSITIONS
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Runner, Signature, TensorSpec
from lwmport.wording import few

NARROW: Final = ("float16",)
"""Precisions whose keys and values are held as narrow as the model computes them."""


def ring_parts(made: Manifest) -> RingParts | None:
    """Return which component of a folder is which part; None where the folder holds something else."""
    spec = spec_of(made.family)
    return spec.ring if spec is not None and spec.ring is not None and spec.ring.group == made.component else None


def check_ring(folder: Path) -> RingParts:
    """Return which component of a folder is which part.

    Raises:
        ArtifactError: the folder holds no model in parts.
    """
    made = manifest.read(folder)
    parts, spec = ring_parts(made), spec_of(made.family)
    if parts is None:
        group = spec.ring.group if spec is not None and spec.ring is not None else "of a language model"
        raise ArtifactError(
            f"expected a model in parts for several ranks in {folder}, found {made.component}; convert again: "
            f"--component {group}"
        )
    return parts


def open_model(folder: Path, runner: str | None, threads: int) -> tuple[RingModel, str]:
    """Return the parts of a model, opened, and the name of the runtime.

    Raises:
        ArtifactError: the folder holds no model in parts, or not all of them.
        RunnerError: the runtime refuses a file.
        UsageError: an unknown runner.
    """
    parts, made = check_ring(folder), manifest.read(folder)
    entries = {entry.name: entry for entry in made.components}
    layers = sum(name.startswith(f"{parts.heads}-") for name in entries)
    _check(folder, parts, entries, layers)
    count = fixed_count(entries[parts.embed].signature)

    def opened(name: str) -> Runner:
        context = RunnerContext(threads=threads, signature=entries[name].signature)
        found = open_runner(folder / entries[name].path, context, runner)
        return found if count is None else FixedRunner(found, count)

    embed, tokens = opened(parts.embed), entries[parts.embed].signature
    query, key = (_spec(entries[parts.step].signature, name) for name in ("query", "key"))
    limits = _spec(entries[f"{parts.heads}-0"].signature, POSITIONS).value_range
    model = RingModel(
        embed=embed,
        heads=tuple(opened(f"{parts.heads}-{layer}") for layer in range(layers)),
        step=opened(parts.step),
        rest=tuple(opened(f"{parts.rest}-{layer}") for layer in range(layers)),
        head=opened(parts.head),
        tokens=tokens,
        positions=int((limits or (0, 0))[1]) + 1,
        heads_of=(int(query.shape[1]), int(key.shape[1]), int(key.shape[3])),
        width=int(tokens.outputs[0].shape[2]),
        dtype=np.float16 if made.options.get("precision") in NARROW else np.float32,
        most=count,
    )
    return model, embed.name


def _check(folder: Path, parts: RingParts, entries: Mapping[str, ComponentEntry], layers: int) -> None:
    """Return if every part is there.

    Raises:
        ArtifactError: one is not.
    """
    wanted = {parts.embed, parts.step, parts.head, f"{parts.heads}-0"}
    wanted |= {f"{name}-{layer}" for name in (parts.heads, parts.rest) for layer in range(layers)}
    missing = sorted(wanted - set(entries))
    if missing:
        raise ArtifactError(f"expected {few(missing)} in {folder / manifest.NAME}, found them not; convert it again")


def _spec(signature: Signature, name: str) -> TensorSpec:
    return next(spec for spec in signature.inputs if spec.name == name)
