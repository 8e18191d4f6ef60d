"""Whether an assembled model is still the one that was assembled, by a look that reads no large file twice."""

from pathlib import Path
from typing import Final

from lwmport import digest, manifest, placing
from lwmport.errors import ArtifactError
from lwmport.pipeline.assemble.package import NAME, Package, open_package
from lwmport.pipeline.observer import Observer, Silent

SMALL: Final = 16 << 20
"""Bytes up to which the digest of a file is taken at each start."""


def open_untouched(folder: Path, observer: Observer | None = None) -> Package:
    """Return the assembled model in a folder, whose files are those of its record as far as a quick look tells.

    Digests are taken of small files, and of large ones that were changed since the record was written; of the other
    large ones the size is compared. A large file that was edited and has its old size and time is not told.

    Raises:
        ArtifactError: there is none, or a file is missing or another one.
    """
    package, observer = open_package(folder), observer or Silent()
    written, sizes = (package.folder / NAME).stat().st_mtime_ns, _sizes(package)
    for name, sha256 in package.record.files.items():
        placing.check_inside(package.folder / NAME, name)
        path = package.folder / name
        if not path.is_file():
            raise ArtifactError(f"expected {path}, which {NAME} names, found none; assemble the model again")
        facts = path.stat()
        same = facts.st_size == sizes.get(name, facts.st_size)
        if same and (facts.st_size <= SMALL or facts.st_mtime_ns > written):
            if facts.st_size > SMALL:
                observer.phase(f"digest of {path}, which is newer than {NAME}")
            same = digest.of_file(path) == sha256
        if not same:
            raise ArtifactError(
                f"expected {path} as it was assembled, found other bytes, of which the verdict says nothing; assemble "
                "the model again"
            )
    return package


def _sizes(package: Package) -> dict[str, int]:
    """Return the bytes of the files of converted parts, by their names in the model."""
    parts = [folder for folder in (package.language, package.pictures, package.embed) if folder is not None]
    return {
        f"{folder.name}/{file.name}": file.bytes
        for folder in parts
        for part in manifest.read(folder).components
        for file in part.files
    }
