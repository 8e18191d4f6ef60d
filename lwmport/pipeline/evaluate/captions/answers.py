"""The answers of one device: ``{picture: answer}``, or two lists, ``image_file`` and ``model_answer``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.plain_json import read_object
from lwmport.errors import ArtifactError, CheckpointError
from lwmport.wording import kind_of, shown

PICTURES: Final = "image_file"
TEXTS: Final = "model_answer"
SETTINGS: Final = "settings"
BESIDE: Final = ".settings.json"
"""How the name of a file ends that tells the settings of the answers in the file before it."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a file holds.

    Attributes:
        path: the file.
        texts: each picture, as the file names it, with its answer, in the order of the file.
        settings: how the answers were decoded; None where the files do not tell.
    """

    path: Path
    texts: tuple[tuple[str, str], ...]
    settings: Mapping[str, Any] | None


def read_answers(path: Path) -> Answers:
    """Return the answers in a file, and the settings in it or in ``FILE.settings.json`` beside it.

    Raises:
        ArtifactError: there is no such file, or it holds something else.
    """
    found = _object(path)
    inside = found.pop(SETTINGS) if isinstance(found.get(SETTINGS), dict) else None
    beside = path.with_name(path.name + BESIDE)
    outside = _object(beside) if beside.exists() else None
    if inside is not None and outside is not None:
        raise ArtifactError(f"expected settings in {path} or in {beside.name}, found them in both; remove one")
    texts = _lists(path, found) if _is_lists(found) else tuple(found.items())
    for picture, text in texts:
        if not isinstance(picture, str) or not isinstance(text, str):
            raise ArtifactError(f"{path}: expected a text for {shown(str(picture))!r}, found {kind_of(text)}")
    if not texts:
        raise ArtifactError(f"{path}: expected answers, found none")
    return Answers(path=path, texts=texts, settings=outside if inside is None else inside)


def _object(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except CheckpointError as error:
        raise ArtifactError(f"expected answers at {path}, found: {error}") from error


def _is_lists(found: Mapping[str, Any]) -> bool:
    return any(isinstance(found.get(name), list) for name in (PICTURES, TEXTS))


def _lists(path: Path, found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    pictures, texts = found.get(PICTURES), found.get(TEXTS)
    if not isinstance(pictures, list) or not isinstance(texts, list) or len(pictures) != len(texts):
        counts = ", ".join(
            f"{len(value)} of {name}" if isinstance(value, list) else f"no list {name}"
            for name, value in ((PICTURES, pictures), (TEXTS, texts))
        )
        raise ArtifactError(f"{path}: expected two lists of the same length, found {counts}")
    return tuple(zip(pictures, texts, strict=True))
