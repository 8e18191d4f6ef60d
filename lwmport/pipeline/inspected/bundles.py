"""Bundles, as they are and unpacked."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.handoff import record
from lwmport.handoff.opening import Archive
from lwmport.pipeline.inspected.record import Inspection, part_of, size_of, told
from lwmport.wording import shown

LARGEST: Final = 64 << 20
"""Bytes of a record in a bundle."""


def bundle_file(path: Path) -> Inspection:
    """Return what a bundle is."""
    with Archive(path) as archive:
        if record.NAME not in archive.entries or record.SPEC_NAME not in archive.entries:
            raise ArtifactError(f"expected {record.NAME} in {path}, found none; is this a bundle of ours?")
        return _of_bundle(path, lambda name: archive.read(name, LARGEST), path.stat().st_size)


def unpacked(path: Path) -> Inspection:
    """Return what a folder is that a bundle was unpacked into."""

    def read(name: str) -> bytes:
        if (path / name).stat().st_size > LARGEST:
            raise ArtifactError(f"{path}: expected {name} of at most {LARGEST} bytes, found more")
        return (path / name).read_bytes()

    found = _of_bundle(path, read, size_of(path))
    advice = (f"run its models here: python {path / record.CHECKER}",)
    return Inspection(**{**vars(found), "kind": "an unpacked bundle", "next": advice})


def _of_bundle(path: Path, read: Callable[[str], bytes], size: int) -> Inspection:
    bundle, spec = (
        record.unseal(read(record.NAME), record.NAME),
        record.read_spec(read(record.SPEC_NAME), record.SPEC_NAME),
    )
    parts = [part_of(f"{part.name}: {part.model}", part.inputs, part.outputs, {}) for part in spec.components]
    facts = {
        "target": bundle.target,
        "format": ", ".join(dict.fromkeys(part.format for part in spec.components)),
        "precision": ", ".join(dict.fromkeys(part.precision for part in spec.components)),
        "samples": ", ".join(f"{len(part.samples)} of {part.name}" for part in spec.components),
        "weights": spec.weights,
        "reference": spec.reference,
        "files": str(len(bundle.files) + 1),
        "producer": f"lwmport {bundle.lwmport}",
    }
    return Inspection(
        kind=f"a bundle for {bundle.target}",
        path=path,
        facts=told({name: shown(value) for name, value in facts.items()}),
        bytes=size,
        parts=tuple(parts),
        next=(f"check its digests and run its models: lwmport verify {path}",),
    )


def is_unpacked(path: Path) -> bool:
    """Return whether a folder is one."""
    return (path / record.NAME).is_file() and (path / record.SPEC_NAME).is_file()
