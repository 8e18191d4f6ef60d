"""Which model file is to be run, and whose signature it has: a converted one, or what a compiler made of one.

A manifest describes what was converted. A file that was compiled keeps no names, or others, so its signature is that of
the model that it was compiled from:

1. ``COMPONENT.compilation.json`` in its folder lists it, and names the folder of the converted model;
2. else ``--reference`` is a converted model, or a folder with one.

Such a record may be named itself: it stands for what was compiled, or for the artifact where there was nothing to
compile, in the runtime and with the threads that it says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport import manifest, plain
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import ArtifactError
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.pipeline.reopen import Converted, find, folder_of
from lwmport.runtime.registry import RUNNERS, precision_of
from lwmport.small_files import read_small
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import ROUNDED_PRODUCTS, Compilation
from lwmport.validators.tolerances import DEFAULTS, coarsest
from lwmport.wording import few

RECORD: Final = ".compilation.json"
RECORDS: Final = f"*{RECORD}"
LIMIT: Final = 16 * 2**20
"""Bytes that a record of a compilation may have; a larger file is none of ours."""

JUDGED_AS: Final = {"mixed": "float16"}
"""A compiler's precision -> the one whose tolerances count."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model file to run.

    Attributes:
        path: the file, or the folder of a SavedModel.
        part: its signature, files and digests.
        form: its format: that of the conversion, or the suffix of a compiled file.
        precision: what its compiler was told to compute in, as far as there are tolerances for it; empty for nothing.
        hint: the precision that its compiler was told, for a runtime that has a choice.
        recorded: whether a record of a compilation lists the file as it is now.
        runner: the runner that such a record names, where it was named itself, or that the dialect has; empty for the
            usual one.
        threads: the threads that it names; 0 for one a processor.
    """

    path: Path
    part: ComponentEntry
    form: str
    precision: str = ""
    hint: str = "float32"
    recorded: bool = False
    runner: str = ""
    threads: int = 0

    def judged_in(self, converted: str, runner: str | None = None) -> str:
        """Return the precision whose tolerances count: the coarsest of the converted model, a compiler, a runner."""
        return coarsest(converted, self.precision, precision_of(runner))


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """The model files to run, and the manifest in ``folder`` that describes what they were made from.

    ``compiled`` is whether they were made from those by a compiler.
    """

    folder: Path
    made: Manifest
    items: tuple[Subject, ...]
    compiled: bool = False

    def converted(self, checkpoint: str | None = None, adapter: Path | None = None) -> Converted:
        """Return the converted folder with these components; ``checkpoint`` holds the weights that were converted."""
        parts = tuple(item.part for item in self.items)
        return Converted(folder=self.folder, manifest=self.made, parts=parts, checkpoint=checkpoint, adapter=adapter)

    @property
    def place(self) -> Path:
        """The folder that the files lie in."""
        return self.items[0].path.parent if self.compiled else self.folder

    @property
    def described(self) -> Manifest:
        """The manifest with the files that are run, where those are compiled ones."""
        return replace(self.made, components=tuple(item.part for item in self.items)) if self.compiled else self.made


def subjects_of(artifact: Path, reference: Path | None = None) -> Subjects:
    """Return what an artifact names: a model file, or every model of a folder that was converted.

    ``reference`` is a converted model or a folder of such, which tells the signature of a compiled file that no record
    lists.

    Raises:
        ArtifactError: there is no such file, or nothing tells its signature.
    """
    if artifact.name.endswith(RECORD) and artifact.is_file():
        return _named_by(artifact)
    found = find(artifact)
    if found is not None:
        form, runner = found.manifest.artifact_format, _runner_of(found.manifest.dialect)
        items = [Subject(path=found.path(part), part=part, form=form, runner=runner) for part in found.parts]
        return Subjects(folder=found.folder, made=found.manifest, items=tuple(items))
    for record in _records(artifact):
        return _recorded(artifact, record)
    if reference is not None and reference.exists():
        return _compiled(artifact, *_named(artifact, reference))
    if artifact.is_dir() and not artifact.suffix:
        manifest.read(artifact)  # which says that there is none
    raise _unknown(artifact, folder_of(artifact))


def _runner_of(dialect: str) -> str:
    """Return the runner of a dialect whose files the usual one does not run; empty for any other."""
    known = {**DIALECTS, **ALL_DIALECTS}
    return known[dialect].runner if dialect in known else ""


def is_described(artifact: Path) -> bool:
    """Return whether a manifest names a model file, or the record of a compilation lists it.

    Raises:
        ArtifactError: there is nothing, or a manifest or a record is damaged.
    """
    return artifact.name.endswith(RECORD) or find(artifact) is not None or any(True for _ in _records(artifact))


def _records(artifact: Path) -> Iterator[Compilation]:
    """Yield the records beside a file that say that it was compiled."""
    for path in sorted(artifact.parent.glob(RECORDS)):
        record = read_record(path)
        if artifact.name in record.products:
            yield record


def read_record(path: Path) -> Compilation:
    """Return the record of a compilation.

    Raises:
        ArtifactError: it is damaged.
    """
    try:
        return plain.decode(Compilation, plain.parsed(read_small(path, LIMIT)), str(path))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"expected the record of a compilation at {path}, found: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a record says that a model is run: the file, the runner, what it computes in, and its threads (0: all)."""

    path: Path
    runner: str
    precision: str
    threads: int


def way_of(record: Compilation, folder: Path) -> Way:
    """Return how the model of a record in a folder is run.

    The file is what the compiler made, or the artifact itself where there was nothing to make.

    Raises:
        ArtifactError: the record names no file there, one outside of both folders, or no runner.
    """
    known = record.tool in RUNNERS
    suffixes = RUNNERS[record.tool].suffixes if known else ()
    made = [name for name in record.products if Path(name).suffix in suffixes]
    path = folder / made[0] if made else folder / record.folder / record.artifact
    names = [*made[:1], record.artifact]
    if not known or any(Path(name).name != name for name in names) or not path.exists():
        raise ArtifactError(
            f"expected the record of a model that runs on this machine, with its file, found {record.tool!r} and {path}"
        )
    threads = record.details.get("threads", 0)
    return Way(
        path=path,
        runner=record.tool,
        precision=_precision(record) or Subject.hint,
        threads=threads if type(threads) is int and threads > 0 else 0,
    )


def _named_by(path: Path) -> Subjects:
    """Return what a record that was named itself stands for."""
    record = read_record(path)
    way = way_of(record, path.parent)
    found = _recorded(way.path, record) if way.path.name in record.products else subjects_of(way.path)
    (item,) = found.items
    return replace(found, items=(replace(item, hint=way.precision, runner=way.runner, threads=way.threads),))


def _recorded(artifact: Path, record: Compilation) -> Subjects:
    found = _compiled(artifact, artifact.parent / record.folder, record.component, _precision(record), _judged(record))
    (subject,) = found.items
    recorded = {file.name: file.sha256 for file in subject.part.files}.items() <= record.sha256.items()
    return replace(found, items=(replace(subject, recorded=recorded),))


def _precision(record: Compilation) -> str:
    found = record.details.get("precision", "")
    return found if isinstance(found, str) else ""


def _judged(record: Compilation) -> str:
    """Return the precision whose tolerances count; at int8 a runtime of this machine rounds products alone."""
    precision = _precision(record)
    if precision == "int8" and record.tool in RUNNERS:
        return ROUNDED_PRODUCTS
    word = JUDGED_AS.get(precision, precision)
    return word if word in DEFAULTS else ""


def _named(artifact: Path, reference: Path) -> tuple[Path, str]:
    """Return the folder and the component that a reference names: the only one, or the one with the file's name."""
    folder = reference if (reference / manifest.NAME).is_file() else reference.parent
    made = manifest.read(folder)
    parts = [part for part in made.components if reference in {folder, folder / part.path}]
    own = [part for part in parts if part.name == artifact.stem] if len(parts) > 1 else parts
    if not own:
        names = few(part.path for part in made.components)
        raise ArtifactError(
            f"expected one of {names} in {folder} as the model that {artifact} was compiled from, found {reference}"
        )
    return folder, own[0].name


def _compiled(artifact: Path, folder: Path, component: str, precision: str = "", judged: str = "") -> Subjects:
    made = manifest.read(folder)
    found = [part for part in made.components if part.name == component]
    if not found:
        names = few(part.name for part in made.components)
        raise ArtifactError(f"expected {component}, which {artifact} was compiled from, in {folder}, found {names}")
    files = [manifest.file_entry(artifact.parent, path) for path in _files(artifact)]
    part = replace(found[0], path=artifact.name, files=tuple(files), operators={}, details={})
    subject = Subject(
        path=artifact,
        part=part,
        form=artifact.suffix.removeprefix("."),
        precision=judged,
        hint=precision or Subject.hint,
    )
    return Subjects(folder=folder, made=made, items=(subject,), compiled=True)


def _files(artifact: Path) -> list[Path]:
    """Return a compiled file and the weights beside it."""
    beside = (artifact.with_suffix(".bin"), artifact.with_name(f"{artifact.name}.data"))
    return [artifact, *(path for path in beside if path.is_file())]


def _unknown(artifact: Path, folder: Path) -> ArtifactError:
    path = folder / manifest.NAME
    if not path.is_file():
        return ArtifactError(
            f"expected a manifest at {path}, or a COMPONENT.compilation.json beside {artifact} that lists it, found "
            "neither; convert into this folder first, or name the converted model by --reference"
        )
    names = few(part.path for part in manifest.read(folder).components)
    return ArtifactError(
        f"expected an artifact that {path} names ({names}), found {artifact}; a compiled file needs its "
        "COMPONENT.compilation.json beside it, or --reference"
    )
