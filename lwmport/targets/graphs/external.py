"""Where the bytes of a tensor lie: inside the model, or in a file beside it and nowhere else."""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from lwmport.targets.graphs.record import Problem
from lwmport.targets.graphs.skeleton import ITSELF, UNREAD
from lwmport.types import Array, dtype_of

OUTSIDE: Final = "outside"
"""The location leads out of the model's folder, by itself or through a link: such a file is never opened."""

NESTED: Final = "nested"
"""The location is in a folder below the model's."""

MISSING: Final = "missing"
"""There is no such file, or it is too short."""

BLOCK: Final = 1 << 24
"""Bytes read at a time."""


def place(model: Path, location: str, offset: int, nbytes: int) -> tuple[Path | None, Problem | None]:
    """Return the file that holds a tensor, if it may be opened and has the bytes, and what is wrong, if anything."""
    if location in {UNREAD, ITSELF}:
        return (model if location == ITSELF else None), None
    pure = PurePosixPath(location.replace("\\", "/"))
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or ":" in location or not location.isprintable():
        return None, Problem(kind=OUTSIDE, where=location, found="a location outside the model's folder")
    path = model.parent / pure
    inside = path.resolve().is_relative_to(model.parent.resolve())
    if not inside:
        return None, Problem(kind=OUTSIDE, where=location, found="a link out of the model's folder")
    size = _size(path)
    if size is None or offset < 0 or nbytes < 0 or offset + nbytes > size:
        have = "no such file" if size is None else f"{size} bytes where {offset + nbytes} are needed"
        return None, Problem(kind=MISSING, where=location, found=have)
    if len(pure.parts) > 1:
        return path, Problem(kind=NESTED, where=location, found="a location in a folder below the model's")
    return path, None


def reader(path: Path, offset: int, nbytes: int, dtype: str) -> Callable[[], Iterator[Array]]:
    """Return what yields the elements of a tensor in flat pieces of at most `BLOCK` bytes."""

    def blocks() -> Iterator[Array]:
        element = dtype_of(dtype)
        with path.open("rb") as file:
            file.seek(offset)
            left = nbytes
            while left > 0:
                content = file.read(min(BLOCK, left))
                whole = len(content) // element.itemsize * element.itemsize
                if not whole:
                    return
                yield np.frombuffer(content[:whole], element)
                left -= len(content)

    return blocks


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
