"""A folder that `convert` wrote, opened again: its manifest, its model, and the weights that it was made from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lwmport import manifest
from lwmport.checkpoints.adapted import base_and_adapter
from lwmport.checkpoints.feeders import has_feeders, with_its_feeders
from lwmport.checkpoints.model_weights import ModelWeights, advised, component_weights, fitting
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import ArtifactError, CheckpointError
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.models.families import Family, caching, resolve, rounding
from lwmport.models.options import Options
from lwmport.pipeline.cache_record import unpacked
from lwmport.types import Component, Weights
from lwmport.wording import few


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A converted folder. The model is built, and the weights are opened, when they are first asked for.

    Attributes:
        folder: where the artifacts lie.
        manifest: what the folder says of them.
        parts: the components that were asked for: all, or the one whose file was named.
        checkpoint: the weights that were converted; None for seeded ones.
        adapter: the LoRA adapter that was merged into them, if any.
    """

    folder: Path
    manifest: Manifest
    parts: tuple[ComponentEntry, ...]
    checkpoint: str | None = None
    adapter: Path | None = None

    @cached_property
    def family(self) -> Family:
        """The model, cut into components as it was when it was converted."""
        made = self.manifest
        family = resolve(made.component, made.config, Options.from_json(made.options))
        family = rounding(family, {part.name: part.rounded for part in made.components})
        family = caching(family, {part.name: unpacked(part) for part in made.components})
        if self.checkpoint is None or not has_feeders(family):
            return family
        base, _ = base_and_adapter(self.checkpoint, self.adapter)
        return with_its_feeders(family, open_checkpoint(str(base), family.spec.name))

    @cached_property
    def weights(self) -> ModelWeights:
        """The weights that were converted.

        Raises:
            CheckpointError: they came from a file that is not named, or another file is named.
        """
        found = reopen_weights(self.family, self.manifest, self.checkpoint, self.adapter)
        if any(manifest.CALIBRATION in part.details for part in self.manifest.components):
            from lwmport.pipeline.calibration.attach import attach_again  # it needs JAX

            attach_again(self.family, found, self.manifest.components)
        return found

    @property
    def precision(self) -> str:
        """The precision of the models themselves."""
        return str(self.manifest.options.get("precision", Options().precision))

    def component(self, name: str) -> Component:
        """Return the reference that a component of the manifest is judged by, in float32.

        Raises:
            ArtifactError: the model has no such component.
        """
        found = {component.name: component for component in self.family.references}
        if name not in found:
            raise ArtifactError(f"expected components out of {few(found)} in the manifest, found {name}")
        return found[name]

    def component_weights(self, name: str) -> Weights:
        """Return the weights of a component and of its feeder, in the component's dtypes."""
        return component_weights(self.family, self.component(name), self.weights)

    def path(self, part: ComponentEntry) -> Path:
        """Return the model file of a component."""
        return self.folder / part.path

    def changed_files(self) -> list[str]:
        """Return the files of the components asked for that are missing or no longer have their digest."""
        return manifest.changed_files(self.parts, self.folder)


def reopen(artifact: Path, checkpoint: str | None = None, adapter: Path | None = None) -> Converted:
    """Return the converted folder that a path means: the folder itself, or a model file in it.

    Raises:
        ArtifactError: there is nothing, no manifest stands beside it, it is damaged, or it does not name the file.
    """
    found = find(artifact, checkpoint, adapter)
    if found is not None:
        return found
    folder = artifact if artifact.is_dir() else artifact.parent
    names = few(part.path for part in manifest.read(folder).components)
    raise ArtifactError(f"expected an artifact that {folder / manifest.NAME} names ({names}), found {artifact}")


def find(artifact: Path, checkpoint: str | None = None, adapter: Path | None = None) -> Converted | None:
    """Return what `reopen` does, and None for a model that no manifest names.

    Raises:
        ArtifactError: there is nothing, or the manifest is damaged.
    """
    folder = folder_of(artifact)
    made = manifest.read(folder) if (folder / manifest.NAME).is_file() else None
    if not artifact.exists():
        names = "" if made is None else few(part.path for part in made.components)
        wanted = f"one of {names} in {folder}" if names else "a model file or a folder of artifacts"
        raise ArtifactError(f"expected {wanted}, found nothing at {artifact}")
    if made is None:
        return None
    parts = tuple(part for part in made.components if artifact == folder or folder / part.path == artifact)
    if not parts:
        return None
    return Converted(folder=folder, manifest=made, parts=parts, checkpoint=checkpoint, adapter=adapter)


def folder_of(artifact: Path) -> Path:
    """Return the folder that a path means: itself where it holds a manifest, else the one that it lies in."""
    return artifact if (artifact / manifest.NAME).is_file() else artifact.parent


def reopen_weights(family: Family, made: Manifest, checkpoint: str | None, adapter: Path | None = None) -> ModelWeights:
    """Return the weights that an artifact was converted from.

    Raises:
        CheckpointError: they came from a file that is not named now, or another file is named.
    """
    seed: Any = made.weights.get("seed", 0)
    checkpoint, adapter = base_and_adapter(checkpoint, adapter)
    if (checkpoint is None or (adapter is None and "adapter" in made.weights)) and made.weights.get("kind") != "seeded":
        raise CheckpointError(
            f"expected the checkpoint that was converted ({made.weights.get('description')}); name it with --checkpoint"
            f"{' and --adapter' if 'adapter' in made.weights else ''}"
        )
    opened = None if checkpoint is None else open_checkpoint(checkpoint, family.spec.name)
    with advised(made.component, None if opened is None else opened.specs):
        weights = fitting(family, opened, int(seed), adapter)
    if weights.digest() != made.weights_sha256:
        raise CheckpointError(
            f"expected the weights that were converted, sha256 {made.weights_sha256}, "
            f"found {weights.source['description']}, sha256 {weights.digest()}"
        )
    return weights
