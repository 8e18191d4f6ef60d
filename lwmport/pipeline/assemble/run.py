"""Assembling: converted parts and a tokenizer become one folder that runs."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lwmport import __version__, atomic, digest, disk, manifest, owned, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.generation.tokenizer import FILES, Tokenizer
from lwmport.manifest import Manifest
from lwmport.pipeline.assemble.package import (
    FORMAT,
    LANGUAGE,
    NAME,
    PICTURES,
    TOKENIZER,
    Package,
    Record,
    component_with,
    language_of,
    open_package,
    prompts_of,
)
from lwmport.pipeline.observer import Observer, Silent
from lwmport.requests import by_fields, check_types
from lwmport.runtime.session.layout import IDS
from lwmport.types import Signature


@dataclass(frozen=True, kw_only=True)
class AssembleRequest:
    """Parts that ``convert`` wrote, and a tokenizer.

    Attributes:
        language: the folder of a whole language model.
        tokenizer: the folder of its tokenizer.
        out: the folder to make.
        pictures: the folder of what turns pictures into codes and back; None for a model of text alone.

    Raises:
        UsageError: a field has another type.
    """

    language: Path
    tokenizer: Path
    out: Path
    pictures: Path | None = None

    def __post_init__(self) -> None:
        """Refuse other types."""
        check_types(self)


@by_fields(AssembleRequest)
def assemble(request: AssembleRequest, observer: Observer | None = None) -> Package:
    """Return a model that runs. Files of the parts are linked where the disk allows it, and copied elsewhere.

    Raises:
        ArtifactError: a part is missing, or of another kind.
        UsageError: a tokenizer with other tokens than the model, or files of the user's in the way.
    """
    observer = observer or Silent()
    language = language_of(request.language)
    prompts = prompts_of(language.family)
    tokenizer = Tokenizer(request.tokenizer)
    _check_vocabulary(language, tokenizer, request)
    parts = {LANGUAGE: (request.language, _files(request.language))}
    made = {LANGUAGE: language}
    if request.pictures is not None:
        made[PICTURES] = manifest.read(request.pictures)
        for given, found in ((prompts.pixels, prompts.codes), (prompts.codes, prompts.pixels)):
            component_with(made[PICTURES], given, found, request.pictures)
        parts[PICTURES] = request.pictures, _files(request.pictures)
    own = [name for name in FILES if (request.tokenizer / name).is_file()]
    parts[TOKENIZER] = request.tokenizer, {name: digest.of_file(request.tokenizer / name) for name in own}
    earlier = owned.Earlier(owned.listed(Path(NAME), FORMAT))
    with atomic.new_folder(request.out, last=NAME, owned=earlier) as folder:
        observer.phase(f"assemble {request.out}")
        for name, (source, files) in parts.items():
            (folder / name).mkdir()
            _take(source, folder / name, files, observer)
        record = Record(
            format=FORMAT,
            lwmport=__version__,
            family=language.family,
            verdicts={name: one.verdict for name, one in made.items()},
            files={f"{name}/{file}": sha256 for name, (_, files) in parts.items() for file, sha256 in files.items()},
        )
        (folder / NAME).write_text(json.dumps(plain.encode(record), indent=1) + "\n", encoding="utf-8")
    return open_package(request.out)


def _check_vocabulary(language: Manifest, tokenizer: Tokenizer, request: AssembleRequest) -> None:
    """Return if each token of a tokenizer is one of the model."""
    rows = _rows(part.signature for part in language.components)
    if tokenizer.size > rows:
        raise UsageError(
            f"expected at most {rows:,} tokens in {request.tokenizer}, as the model in {request.language} has, "
            f"found {tokenizer.size:,}"
        )


def _rows(signatures: Iterable[Signature]) -> int:
    for signature in signatures:
        for spec in signature.inputs:
            if spec.name == IDS and spec.tables is not None:
                return spec.tables.rows[0]
            if spec.name == IDS and spec.value_range is not None:
                return int(spec.value_range[1]) + 1
    raise ArtifactError(f"expected a model that takes {IDS}, found none")


def _files(folder: Path) -> dict[str, str]:
    """Return the files of a converted folder and their digests, as its manifest tells them; the manifest's own too."""
    files = [file for part in manifest.read(folder).components for file in part.files]
    return {**{file.name: file.sha256 for file in files}, manifest.NAME: digest.of_file(folder / manifest.NAME)}


def _take(source: Path, target: Path, files: Mapping[str, str], observer: Observer) -> None:
    """Link or copy files, smallest first."""
    missing = [name for name in files if not (source / name).is_file()]
    if missing:
        raise ArtifactError(f"expected {source / missing[0]}, which the manifest names, found none; convert it again")
    sizes = {name: (source / name).stat().st_size for name in files}
    done, total = 0, sum(sizes.values())
    for name in sorted(files, key=lambda name: sizes[name]):
        try:
            os.link(source / name, target / name, follow_symlinks=True)
        except OSError:
            disk.check_room(target, sizes[name])
            shutil.copyfile(source / name, target / name)
        done += sizes[name]
        observer.progress(name, done, total)
