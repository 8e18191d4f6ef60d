"""Which picture an answer is of: the file below a folder whose path ends most like the name in the file of answers.

The name is only a key: the devices had the pictures at other places. No path is opened but those found in the folder.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from lwmport.errors import ArtifactError, UsageError
from lwmport.pipeline.evaluate.captions.answers import Answers
from lwmport.wording import few, shown


def pictures_in(folder: Path) -> dict[str, list[PurePosixPath]]:
    """Return the files below a folder, relative to it, by their last name; no link to a folder is followed.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"expected a folder of pictures at {folder}, found none")
    found: dict[str, list[PurePosixPath]] = {}
    for root, _, names in os.walk(folder):
        below = Path(root).relative_to(folder)
        for name in names:
            found.setdefault(name, []).append(PurePosixPath(below.as_posix()) / name)
    return found


def answers_by_picture(answers: Answers, pictures: Mapping[str, list[PurePosixPath]], folder: Path) -> dict[str, str]:
    """Return each answer by its picture, relative to the folder.

    Raises:
        ArtifactError: a picture is missing or may be several files, or has two different answers.
    """
    found: dict[str, str] = {}
    missing = []
    for name, text in answers.texts:
        nearest = _nearest(name, pictures)
        if not nearest:
            missing.append(shown(name))
            continue
        if len(nearest) > 1:
            raise ArtifactError(
                f"{answers.path}: expected one picture below {folder} for {shown(name)!r}, found {len(nearest)}: "
                f"{few(map(shown, nearest))}"
            )
        if found.setdefault(nearest[0], text) != text:
            raise ArtifactError(f"{answers.path}: expected one answer for {shown(nearest[0])!r}, found two")
    if missing:
        raise ArtifactError(
            f"{answers.path}: expected the pictures of all answers below {folder}, found none for {len(missing)}: "
            f"{few(missing)}"
        )
    return found


def _nearest(name: str, pictures: Mapping[str, list[PurePosixPath]]) -> list[str]:
    """Return the files with the longest common end of their paths."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    candidates = pictures.get(parts[-1], []) if parts else []
    lengths = {path: _common(parts, path.parts) for path in candidates}
    most = max(lengths.values(), default=0)
    return sorted(path.as_posix() for path, length in lengths.items() if length == most)


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """Return how many of the last parts are the same."""
    count = 0
    for left, right in zip(reversed(list(one)), reversed(list(other)), strict=False):
        if left != right:
            break
        count += 1
    return count
