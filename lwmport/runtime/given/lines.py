"""The lines of a .jsonl, and their values as inputs."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import plain
from lwmport.errors import UsageError, one_line
from lwmport.runtime.given.fitting import fits, in_range
from lwmport.runtime.given.wanted import MOST_FILES
from lwmport.small_files import read_small
from lwmport.types import Array, TensorSpec, dtype_of

MOST_LINES: Final = 256 << 20
"""Bytes of a .jsonl."""


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a .jsonl; empty lines are left out."""
    try:
        if path.stat().st_size > MOST_LINES:
            raise UsageError(f"{path}: expected at most {MOST_LINES:,} bytes, found {path.stat().st_size:,}")
        text = read_small(path, MOST_LINES).decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise UsageError(f"expected lines of JSON at {path}, found: {reason}") from error
    found: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = plain.parsed(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: expected JSON, found: {one_line(error)}") from error
        if not isinstance(value, dict) or not value:
            raise UsageError(f'{path}, line {number}: expected an object like {{"INPUT": [...]}}, found another value')
        found.append(value)
    if not 1 <= len(found) <= MOST_FILES:
        raise UsageError(f"{path}: expected 1 to {MOST_FILES} lines, found {len(found)}")
    return found


def value_of(value: Any, spec: TensorSpec, where: str) -> Array:
    """Return a value of JSON as an input; the axis of the batch may be left out."""
    wanted = dtype_of(spec.dtype)
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"{where}: expected {spec.name} as a list of equal lists, found: {one_line(error)}") from error
    kinds = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}.get("f" if wanted.name == "bfloat16" else wanted.kind, "")
    if array.dtype.kind not in kinds and array.size:
        raise UsageError(f"{where}: expected {spec.name} as {spec.dtype}, found {array.dtype}")
    if array.ndim == len(spec.shape) - 1:
        array = array[None]
    if not fits(spec, array.shape):
        dims = ", ".join(map(str, spec.shape))
        raise UsageError(f"{where}: expected {spec.name} as {spec.dtype}[{dims}], found {list(array.shape)}")
    in_range(array, spec, where)
    with np.errstate(over="ignore"):
        found = array.astype(wanted)
    if wanted.kind in "iu" and not np.array_equal(found, array):
        raise UsageError(f"{where}: expected {spec.name} as {spec.dtype}, found numbers that it does not hold")
    return found
