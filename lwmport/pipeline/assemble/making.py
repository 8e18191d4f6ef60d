"""Parts that are given as checkpoints are converted first, into folders beside the one that is made.

All that can be refused of any of them is refused before the first is converted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lwmport import manifest, owned, placing
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError, UsageError
from lwmport.models.options import Options
from lwmport.models.specs import FAMILIES, looks_like
from lwmport.options import DYNAMIC
from lwmport.pipeline.assemble.package import EMBED, LANGUAGE, PICTURES
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import check, convert, opened
from lwmport.pipeline.convert.work import Work
from lwmport.pipeline.observer import Observer, Silent
from lwmport.reports import files

BOTH_HEADS: Final = "sample_mode"
"""The option by which a language model has the logits of all its modes."""

CONFIG: Final = "lwm"
"""The configuration that is meant where none is named, as of ``convert``."""


@dataclass(frozen=True, kw_only=True)
class Making:
    """How parts that are checkpoints are converted: to ONNX, at any length, in float32 but for the language model.

    Attributes:
        config: of the language model; what ``convert`` takes.
        pictures_config: of what turns pictures into codes and back.
        options: of the language model.
        validate: whether the parts are judged.
    """

    config: str | Mapping[str, Any] = CONFIG
    pictures_config: str | Mapping[str, Any] = CONFIG
    options: Options = field(default_factory=Options)
    validate: bool = True


def planned_parts(given: Mapping[str, Path], out: Path, making: Making) -> Mapping[str, Work]:
    """Return part -> the conversion of each that is a checkpoint, checked and not begun: no tensor was read.

    They are to lie beside ``out``.

    Raises:
        PortError: one is no checkpoint, or its conversion is refused.
        UsageError: words of a conversion, and every part is converted already.
    """
    checkpoints = {name: path for name, path in given.items() if not (path / manifest.NAME).is_file()}
    if not checkpoints and making != Making():
        raise UsageError(
            "expected words on how to convert beside a checkpoint alone, found converted parts; leave them out"
        )
    requests = {
        name: _request(name, path, out.absolute().parent / f".{out.name}.{name}", making)
        for name, path in checkpoints.items()
    }
    works = {name: opened(request, Silent()) for name, request in requests.items()}
    for work in works.values():
        check(work)
    return works


@contextmanager
def made_parts(
    given: Mapping[str, Path], planned: Mapping[str, Work], observer: Observer
) -> Iterator[Mapping[str, Path]]:
    """Yield part -> folder, where each that is ``planned`` has become one; they are gone when the block ends well.

    What an interrupted run left is gone on with.

    Raises:
        PortError: one cannot be converted.
    """
    for name, work in planned.items():
        observer.phase(f"convert {given[name]} as {name}")
        convert(work.request, observer)
    folders = {name: work.request.out for name, work in planned.items()}
    yield {**given, **folders}
    for folder in folders.values():
        placing.clear(folder, owned.Earlier(manifest.listed, files.listed)(folder))
        placing.rmdir(folder)  # what else lies there stays, and its folder


def _request(name: str, path: Path, out: Path, making: Making) -> ConvertRequest:
    component = _component(name, path)
    options, config = (making.options, making.config) if name == LANGUAGE else (Options(), making.pictures_config)
    if name == LANGUAGE and _takes(component, BOTH_HEADS):
        options = replace(options, sample_mode="all")
    return ConvertRequest(
        component=component,
        format="onnx",
        out=out,
        checkpoint=str(path),
        config=config,
        batch=DYNAMIC,
        options=options,
        validate=making.validate,
    )


def _component(name: str, path: Path) -> str:
    """Return what a checkpoint is converted as, by its tensors.

    Raises:
        CheckpointError: it is of another kind of model.
        UsageError: a table of embeddings, which a checkpoint has among others.
    """
    if name == EMBED:
        raise UsageError(f"expected a converted folder as --{EMBED}, found {path}; 'lwmport convert' makes one of it")
    found = looks_like(open_checkpoint(path).specs)
    talked = {part.name for family in FAMILIES.values() if family.modes for part in family.components}
    if not found or (found in talked) != (name == LANGUAGE):
        wanted = {LANGUAGE: "a language model", PICTURES: "a model of pictures"}[name]
        raise CheckpointError(f"expected {wanted} in {path}, found {found or 'tensors of another model'}")
    return found


def _takes(component: str, option: str) -> bool:
    parts = (part for family in FAMILIES.values() for part in family.components)
    return any(part.name == component and option in part.options for part in parts)
