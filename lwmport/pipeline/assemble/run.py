"""Assembling: converted parts and a tokenizer become one folder that runs."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lwmport import __version__, atomic, digest, disk, manifest, owned, plain
from lwmport.errors import ArtifactError
from lwmport.generation import byte_tokenizer
from lwmport.generation.piece_tokenizer import as_folder
from lwmport.generation.tokenizer import FILES, Tokenizer
from lwmport.manifest import Manifest
from lwmport.pipeline.assemble import genai
from lwmport.pipeline.assemble.fitting import check_fit, check_vocabulary
from lwmport.pipeline.assemble.making import Making, made_parts, planned_parts
from lwmport.pipeline.assemble.package import (
    EMBED,
    FORMAT,
    LANGUAGE,
    NAME,
    PICTURES,
    TOKENIZER,
    Package,
    Record,
    language_of,
    open_package,
)
from lwmport.pipeline.convert.output_folder import check_names
from lwmport.pipeline.convert.work import Work
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.registry import check_known
from lwmport.requests import by_fields, check_types

Part = tuple[Path, Mapping[str, str]]

ENGINES: Final = ("genai",)
"""Engines of others that run an assembled folder as it is."""


@dataclass(frozen=True, kw_only=True)
class AssembleRequest:
    """Parts that ``convert`` wrote, and a tokenizer.

    Attributes:
        language: the folder of a whole language model, or a checkpoint of one, which is converted first.
        out: the folder to make.
        tokenizer: the folder of its tokenizer, a ``tokenizer.model`` or a GGUF file; None for one of bytes that is
            made here, for trials with seeded weights.
        pictures: the folder of what turns pictures into codes and back, or of an image side, or a checkpoint of the
            former; None for a model of text alone.
        embed: the folder of what turns tokens into embeddings, for a language model that takes those.
        engine: whose settings the folder gets too, one of `ENGINES`; None for nobody's.
        making: how checkpoints are converted.

    Raises:
        UsageError: a field has another type, or there is no such engine.
    """

    language: Path
    out: Path
    tokenizer: Path | None = None
    pictures: Path | None = None
    embed: Path | None = None
    engine: str | None = None
    making: Making = field(default_factory=Making)

    def __post_init__(self) -> None:
        """Refuse other types and engines."""
        check_types(self)
        if self.engine:
            check_known("engine", self.engine, ENGINES)


@by_fields(AssembleRequest)
def assemble(request: AssembleRequest, observer: Observer | None = None) -> Package:
    """Return a model that runs. Files of the parts are linked where the disk allows it, and copied elsewhere.

    Raises:
        ArtifactError: a part is missing, or of another kind.
        UsageError: a tokenizer with other tokens than the model, or files of the user's in the way.
    """
    observer = observer or Silent()
    folders: dict[str, Path | None] = {LANGUAGE: request.language, PICTURES: request.pictures, EMBED: request.embed}
    given = {name: folder for name, folder in folders.items() if folder is not None}
    with TemporaryDirectory() as trial:
        source = _tokenizer(request.tokenizer, Path(trial))
        tokenizer = Tokenizer(source)
        planned = planned_parts(given, request.out, request.making)
        earlier = owned.Earlier(owned.listed(Path(NAME), FORMAT))
        check_writable(request.out)
        check_names(request.out, [NAME, TOKENIZER, *given], earlier)
        _check_tokenizer(request, given, planned, tokenizer, source)
        with made_parts(given, planned, observer) as made:
            _put_together(request, made, tokenizer, source, earlier, observer)
    return open_package(request.out)


def _tokenizer(given: Path | None, scratch: Path) -> Path:
    """Return the folder of the tokenizer that is asked for, which may be written first."""
    return byte_tokenizer.write(scratch) if given is None else as_folder(given, scratch)


def _check_tokenizer(
    request: AssembleRequest, given: Mapping[str, Path], planned: Mapping[str, Work], tokenizer: Tokenizer, source: Path
) -> None:
    """Return if the tokenizer in the folder ``source`` fits what is converted first: hours later is too late."""
    if request.engine:
        genai.check_asked(given, source, LANGUAGE)
    if LANGUAGE in planned:
        check_vocabulary(planned[LANGUAGE].family.components, given[LANGUAGE], tokenizer, source)


def _put_together(
    request: AssembleRequest,
    given: Mapping[str, Path],
    tokenizer: Tokenizer,
    source: Path,
    earlier: owned.Earlier,
    observer: Observer,
) -> None:
    """Write the folder of converted parts and the tokenizer in the folder ``source``, if they fit."""
    made = {name: (language_of if name == LANGUAGE else manifest.read)(folder) for name, folder in given.items()}
    check_fit(made, given)
    check_vocabulary(made.get(EMBED, made[LANGUAGE]).components, given[LANGUAGE], tokenizer, source)
    if request.engine:
        genai.check_taken(made[LANGUAGE])
    parts = {name: (folder, _files(folder)) for name, folder in given.items()}
    own = [name for name in FILES if (source / name).is_file()]
    parts[TOKENIZER] = source, {name: digest.of_file(source / name) for name in own}
    _write(request, made, tokenizer, parts, earlier, observer)


def _write(
    request: AssembleRequest,
    made: Mapping[str, Manifest],
    tokenizer: Tokenizer,
    parts: Mapping[str, Part],
    earlier: owned.Earlier,
    observer: Observer,
) -> None:
    """Write the folder of the parts: name -> where its files are, and their digests."""
    with atomic.new_folder(request.out, last=NAME, owned=earlier) as folder:
        observer.phase(f"assemble {request.out}")
        for name, (source, files) in parts.items():
            (folder / name).mkdir()
            _take(source, folder / name, files, observer)
        more = _for_engine(folder, made[LANGUAGE], tokenizer, observer) if request.engine else {}
        record = Record(
            format=FORMAT,
            lwmport=__version__,
            family=made[LANGUAGE].family,
            verdicts={name: one.verdict for name, one in made.items()},
            files={
                **{f"{name}/{file}": sha256 for name, (_, files) in parts.items() for file, sha256 in files.items()},
                **more,
            },
        )
        (folder / NAME).write_text(json.dumps(plain.encode(record), indent=1) + "\n", encoding="utf-8")


def _for_engine(folder: Path, made: Manifest, tokenizer: Tokenizer, observer: Observer) -> dict[str, str]:
    """Return the digests of what an engine needs beside the parts, which is written: settings and the tokenizer."""
    settings = folder / genai.CONFIG
    settings.write_text(genai.settings(made, LANGUAGE, tokenizer), encoding="utf-8")
    texts = {name: digest.of_file(folder / TOKENIZER / name) for name in genai.TOKENIZER_FILES}
    _take(folder / TOKENIZER, folder, texts, observer)
    return {**texts, genai.CONFIG: digest.of_file(settings)}


def _files(folder: Path) -> dict[str, str]:
    """Return the files of a converted folder and their digests, as its manifest tells them; the manifest's own too."""
    files = [file for part in manifest.read(folder).components for file in part.files]
    return {**{file.name: file.sha256 for file in files}, manifest.NAME: digest.of_file(folder / manifest.NAME)}


def _take(source: Path, target: Path, files: Mapping[str, str], observer: Observer) -> None:
    """Link or copy files that are as their digests say, smallest first."""
    missing = [name for name in files if not (source / name).is_file()]
    if missing:
        raise ArtifactError(f"expected {source / missing[0]}, which the manifest names, found none; convert it again")
    sizes = {name: (source / name).stat().st_size for name in files}
    done, total = 0, sum(sizes.values())
    for name in sorted(files, key=lambda name: sizes[name]):
        if digest.of_file(source / name) != files[name]:
            raise ArtifactError(
                f"expected {source / name} as it was converted, found other bytes, of which the verdict says nothing; "
                "convert it again"
            )
        try:
            os.link(source / name, target / name, follow_symlinks=True)
        except OSError:
            disk.check_room(target, sizes[name])
            shutil.copyfile(source / name, target / name)
        done += sizes[name]
        observer.progress(name, done, total)
