"""``manifest.json``: what was made, from what, how to make it again, and the digests that tie it together.

It holds no time and no path, so that the same request gives the same bytes.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, digest, owned, plain
from lwmport.choices import Choice
from lwmport.errors import ArtifactError
from lwmport.instead import in_place_of
from lwmport.small_files import read_small
from lwmport.types import ADDED, Artifact, Preprocessing, Rounded, Signature
from lwmport.verdicts import Fault, Judged, file_faults

FORMAT: Final = "lwmport-manifest/1"
NAME: Final = "manifest.json"
TAPS: Final = "taps"
"""The detail of a component that holds its `Taps`."""

CALIBRATION: Final = "calibration"
"""The detail of a component that holds the text by which its weights are rounded, and the digest of the roundings."""

SCALES: Final = "cache_scales"
"""The detail of a component that holds the scales of a cache of codes, by input (`lwmport.pipeline.cache_record`)."""

NO_PICTURES: Final[Mapping[str, Preprocessing]] = {}

LIMIT: Final = 16 * 2**20
"""Bytes that a manifest may have; a larger file is none of ours."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file beside the manifest."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Taps:
    """The tapped model beside a model: which kind of taps, the file to open, their names in order, and its own files.

    ``kind`` is one of `lwmport.types.TAPS`. The outputs of the file are those of the model, and then the taps.
    """

    kind: str
    path: str
    names: tuple[str, ...]
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, kw_only=True)
class ComponentEntry:
    """One converted component. ``details`` are facts of the format, as the opset, and the taps where it has some.

    ``preprocessing`` is how a picture becomes each input that is one. An input of bytes is scaled by the model itself.
    ``rounded`` is what its convolutions of integers round to, by kernel.
    """

    name: str
    path: str
    files: tuple[FileEntry, ...]
    signature: Signature
    operators: Mapping[str, int]
    details: Mapping[str, Any]
    program_sha256: str
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict, metadata=ADDED)
    rounded: Mapping[str, Rounded] = field(default_factory=dict, metadata=ADDED)

    @property
    def taps(self) -> Taps | None:
        """The tapped model that was written beside this one, if any; its files are not among ``files``."""
        told = self.details.get(TAPS)
        return None if told is None else plain.decode(Taps, told, f"{self.name}.details.{TAPS}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that vouches for the artifacts in one folder.

    ``component`` is what was asked for, ``config`` the model's configuration, ``options`` how components were cut out
    of it (`lwmport.models.options.Options`). ``phases`` are phase of generation -> the component that runs it.
    ``choices`` are what the artifacts depend on beside their tensors, and where each of it came from.
    """

    format: str
    lwmport: str
    artifact_format: str
    dialect: str
    component: str
    family: str
    config: Mapping[str, Any]
    options: Mapping[str, Any]
    weights: Mapping[str, Any]
    weights_sha256: str
    components: tuple[ComponentEntry, ...]
    verdict: str
    versions: Mapping[str, str]
    reproduce: tuple[str, ...]
    phases: Mapping[str, str] = field(default_factory=dict, metadata=ADDED)
    choices: tuple[Choice, ...] = field(default=(), metadata=ADDED)


def entry(
    artifact: Artifact,
    program_sha256: str,
    taps: Taps | None = None,
    preprocessing: Mapping[str, Preprocessing] = NO_PICTURES,
) -> ComponentEntry:
    """Return the manifest's entry of an artifact, with the digests of its files; those known already are not taken."""
    told = {} if taps is None else {TAPS: plain.encode(taps)}
    return ComponentEntry(
        name=artifact.component,
        path=artifact.path.name,
        files=file_entries(artifact),
        signature=artifact.signature,
        operators=dict(artifact.operators),
        details={**artifact.details, **told},
        program_sha256=program_sha256,
        preprocessing=dict(preprocessing),
    )


def file_entries(artifact: Artifact) -> tuple[FileEntry, ...]:
    """Return name, size and digest of each file of an artifact."""
    folder = artifact.path.parent
    return tuple(file_entry(folder, path, artifact.sha256.get(path.name)) for path in artifact.files)


def file_entry(folder: Path, path: Path, sha256: str | None = None) -> FileEntry:
    """Return name, size and digest of a file in a folder; ``sha256`` is the digest if it is known."""
    name = path.relative_to(folder).as_posix()
    return FileEntry(name=name, bytes=path.stat().st_size, sha256=sha256 or digest.of_file(path))


def write(manifest: Manifest, folder: Path) -> None:
    """Write the manifest into a folder."""
    text = json.dumps(plain.encode(manifest), indent=1, ensure_ascii=False, allow_nan=False)
    with atomic.new_file(folder / NAME) as file:
        file.write(text.encode() + b"\n")


def read(folder: Path) -> Manifest:
    """Return the manifest of a folder.

    Raises:
        ArtifactError: there is none, it is damaged, or it names files outside its folder.
    """
    path = folder / NAME
    try:
        value = plain.parsed(read_small(path, LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        found = error.strerror if isinstance(error, OSError) else in_place_of(path) or error
        inside = folder / "language"  # of a folder that 'lwmport assemble' made
        hint = f"name {inside}, the model inside" if (inside / NAME).is_file() else "convert into this folder first"
        raise ArtifactError(f"expected a manifest at {path}, found: {found}; {hint}") from error
    manifest = plain.decode(Manifest, value, str(path))
    if manifest.format != FORMAT:
        raise ArtifactError(f"{path}: expected the format {FORMAT}, found {manifest.format!r}")
    for part in manifest.components:
        taps = () if part.taps is None else (part.taps.path, *(file.name for file in part.taps.files))
        for name in (part.name, part.path, *(file.name for file in part.files), *taps):
            _check_inside(path, name)
    return manifest


def listed(folder: Path) -> Mapping[str, str] | None:
    """Return the files that the manifest of a folder vouches for, with their digests (`lwmport.owned.Reader`)."""
    if owned.json_record(folder / NAME) is None:
        return None
    try:
        found = read(folder)
    except ArtifactError:
        return None
    taps = [file for part in found.components if part.taps for file in part.taps.files]
    files = [file for part in found.components for file in part.files]
    return {**{file.name: file.sha256 for file in (*files, *taps)}, NAME: ""}


def part_faults(part: ComponentEntry, folder: Path, files: Iterable[Judged] | None = None) -> tuple[Fault, ...]:
    """Return what is wrong with the files of a component, by default those that its entry names.

    A tapped model may be missing, for a bundle leaves it out.
    """
    taps = [file for file in part.taps.files if (folder / file.name).is_file()] if part.taps else []
    return (*file_faults(folder, part.files if files is None else files), *file_faults(folder, taps))


def changed_files(parts: Iterable[ComponentEntry], folder: Path) -> list[str]:
    """Return the files of some components that are missing or no longer have their digest.

    A file that several of them have is read once. A tapped model may be missing, for a bundle leaves it out.
    """
    parts = list(parts)
    files = dict.fromkeys(file for part in parts for file in part.files)
    tapped = dict.fromkeys(file for part in parts if part.taps for file in part.taps.files)
    files.update(dict.fromkeys(file for file in tapped if (folder / file.name).exists()))
    return [file.name for file in files if _is_changed(folder / file.name, file)]


def _is_changed(path: Path, file: FileEntry) -> bool:
    return not path.is_file() or path.stat().st_size != file.bytes or digest.of_file(path) != file.sha256


def _check_inside(path: Path, name: str) -> None:
    pure = Path(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ArtifactError(f"{path}: expected file names inside the folder, found {name!r}")
