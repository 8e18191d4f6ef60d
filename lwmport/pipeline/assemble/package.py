"""A model that runs, as a folder: ``model.json`` and the folders that it names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lwmport import manifest, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.models.spec import FamilySpec, Prompts, TalkPrompts
from lwmport.models.specs import family_of, spec_of
from lwmport.registry import load
from lwmport.runtime.session.layout import IDS
from lwmport.small_files import read_small
from lwmport.types import DECODE

NAME: Final = "model.json"
FORMAT: Final = "lwmport-model/1"

LANGUAGE: Final = "language"
PICTURES: Final = "pictures"
EMBED: Final = "embed"
TOKENIZER: Final = "tokenizer"
"""The folders of the parts."""

LIMIT: Final = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Record:
    """``model.json``.

    Attributes:
        format: `FORMAT`.
        lwmport: the version that wrote it.
        family: of the language model.
        verdicts: part -> what its manifest says of its validation.
        files: every other file of the folder -> its SHA-256.
    """

    format: str
    lwmport: str
    family: str
    verdicts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Package:
    """An assembled model: its record, how it is asked, and where its parts are.

    ``family`` is that of the language model. ``pictures`` is None for a model of text alone. ``embed`` is there where
    the language model takes embeddings, among which features of pictures stand.
    """

    folder: Path
    record: Record
    family: FamilySpec
    prompts: TalkPrompts
    language: Path
    tokenizer: Path
    pictures: Path | None = None
    embed: Path | None = None

    @property
    def painting(self) -> Prompts:
        """How it is asked for pictures.

        Raises:
            UsageError: it makes none.
        """
        if not isinstance(self.prompts, Prompts):
            raise UsageError(f"expected a model that makes pictures in {self.folder}, found one that only sees them")
        return self.prompts


def open_package(folder: Path) -> Package:
    """Return the assembled model in a folder.

    Raises:
        ArtifactError: there is none, it is damaged, or a part is missing.
    """
    path = folder / NAME
    try:
        value = plain.parsed(read_small(path, LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        found = error.strerror if isinstance(error, OSError) else error
        raise ArtifactError(f"expected {path}, found: {found}; 'lwmport assemble' makes such a folder") from error
    record = plain.decode(Record, value, str(path))
    if record.format != FORMAT:
        raise ArtifactError(f"{path}: expected the format {FORMAT}, found {record.format!r}")
    family, embed, pictures = talked_family(record.family), folder / EMBED, folder / PICTURES
    splices = embed.is_dir()
    needed = (LANGUAGE, TOKENIZER, PICTURES) if splices else (LANGUAGE, TOKENIZER)
    missing = [name for name in needed if not (folder / name).is_dir()]
    if missing:
        raise ArtifactError(f"expected the folder {folder / missing[0]}, found none; assemble the model again")
    return Package(
        folder=folder,
        record=record,
        family=family,
        prompts=spliced_prompts_of(manifest.read(pictures), pictures) if splices else prompts_of(record.family),
        language=folder / LANGUAGE,
        tokenizer=folder / TOKENIZER,
        pictures=pictures if pictures.is_dir() else None,
        embed=embed if splices else None,
    )


def talked_family(name: str) -> FamilySpec:
    """Return a family of language models that is talked to.

    Raises:
        ArtifactError: it is not known here, or it is of other models.
    """
    family = family_of(name)
    if not family.modes or not family.prompts:
        raise ArtifactError(f"expected a family of language models that is talked to, found {name!r}")
    return family


def prompts_of(name: str) -> Prompts:
    """Return how models of a family are talked to.

    Raises:
        ArtifactError: nobody talks to them.
    """
    found: Prompts = load(talked_family(name).prompts)
    return found


def spliced_prompts_of(made: Manifest, folder: Path) -> TalkPrompts:
    """Return how a language model is asked that takes embeddings, by the manifest of its image side.

    Raises:
        ArtifactError: it is of another kind of model.
    """
    family = spec_of(made.family)
    if family is None or not family.spliced_prompts:
        raise ArtifactError(
            f"expected an image side, whose features stand among embeddings, in {folder}, found {made.component}"
        )
    found: TalkPrompts = load(family.spliced_prompts)(made.config)
    return found


def language_of(folder: Path) -> Manifest:
    """Return the manifest of a converted whole language model.

    Raises:
        ArtifactError: there is none in the folder, or it is of another kind of model.
    """
    made = manifest.read(folder)
    if DECODE not in made.phases:
        raise ArtifactError(f"expected a whole language model in {folder}, found {made.component}")
    return made


def component_with(made: Manifest, given: str, found: str, folder: Path) -> ComponentEntry:
    """Return the component of a manifest that takes the input ``given`` and gives the output ``found``.

    Raises:
        ArtifactError: there is none.
    """
    for part in made.components:
        inputs = {spec.name for spec in part.signature.inputs}
        if inputs == {given} and found in {spec.name for spec in part.signature.outputs}:
            return part
    raise ArtifactError(f"expected a component of {given} to {found} in {folder}, found {made.component}")


def embedding_of(made: Manifest, folder: Path) -> ComponentEntry:
    """Return the component of a manifest that turns tokens into embeddings.

    Raises:
        ArtifactError: there is none.
    """
    for part in made.components:
        if {spec.name for spec in part.signature.inputs} == {IDS} and len(part.signature.outputs) == 1:
            return part
    raise ArtifactError(f"expected a component of {IDS} to embeddings in {folder}, found {made.component}")
