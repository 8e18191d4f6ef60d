"""Values that go between two processes: JSON and the raw bytes of arrays in one file, and nothing that runs when read.

The file is 8 bytes of a length, JSON of that length, and the arrays behind it. What JSON has no form for is an object
with the key ``$``: an array, a tuple, a path. The reader trusts no number in it: the sender may be a process in which
a stranger's model did what it wanted.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from lwmport.errors import ArtifactError
from lwmport.types import Array, dtype_of

LARGEST_JSON: Final = 1 << 26
"""Bytes of all that is no array."""

KINDS: Final = "biufcV"
"""Kinds of the dtypes whose bytes are sent: numbers, flags, and those of ml_dtypes."""


def write(file: IO[bytes], value: Any) -> None:
    """Write a value: JSON's own kinds, numpy arrays, paths, tuples, and mappings with texts as keys.

    Raises:
        TypeError: it is, or holds, anything else.
    """
    arrays: list[Array] = []
    content = json.dumps(_packed(value, arrays, [0])).encode()
    file.write(len(content).to_bytes(8, "little") + content)
    for array in arrays:
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    file.flush()


def read(file: IO[bytes]) -> Any:
    """Return the value that `write` put into a file; arrays are read into memory.

    Raises:
        ArtifactError: there is none, or it is no such value.
    """
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, LARGEST_JSON):
        raise ArtifactError(f"expected a value between two processes, found {size} bytes that are none")
    try:
        return _unpacked(json.loads(file.read(length)), file, 8 + length)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ArtifactError(f"expected a value between two processes, found {type(error).__name__}") from error


def _packed(value: Any, arrays: list[Array], end: list[int]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.ndarray | np.generic):
        return _packed_array(np.asarray(value), arrays, end)
    if isinstance(value, Path):
        return {"$": "path", "of": str(value)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("expected texts as the keys of a mapping that goes to another process")
        return {"$": "map", "of": {key: _packed(item, arrays, end) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        items = [_packed(item, arrays, end) for item in value]
        return items if isinstance(value, list) else {"$": "tuple", "of": items}
    raise TypeError(f"expected a value that can go to another process, found {type(value).__name__}")


def _packed_array(array: Array, arrays: list[Array], end: list[int]) -> dict[str, Any]:
    shape = list(array.shape)
    if array.dtype.kind in "OU" and all(isinstance(text, str) for text in array.ravel()):
        return {"$": "texts", "shape": shape, "of": [str(text) for text in array.ravel()]}
    if array.dtype.kind not in KINDS or array.dtype.names or not array.dtype.isnative:
        raise TypeError(f"expected an array of numbers that can go to another process, found one of {array.dtype}")
    arrays.append(array)
    start, end[0] = end[0], end[0] + array.nbytes
    return {"$": "array", "shape": shape, "dtype": array.dtype.name, "at": start}


def _unpacked(value: Any, file: IO[bytes], base: int) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, file, base) for item in value]
    if not isinstance(value, dict):
        return value
    kind: str = value["$"]
    of: Any = value.get("of")
    if kind == "map":
        return {key: _unpacked(item, file, base) for key, item in of.items()}
    if kind == "tuple":
        return tuple(_unpacked(item, file, base) for item in of)
    return Path(of) if kind == "path" else _unpacked_array(value, file, base)


def _unpacked_array(value: dict[str, Any], file: IO[bytes], base: int) -> Array:
    shape, dtype = tuple(map(int, value["shape"])), dtype_of(str(value.get("dtype", "object")))
    if value["$"] == "texts":
        return np.asarray([str(text) for text in value["of"]], object).reshape(shape)
    nbytes = math.prod(shape) * dtype.itemsize
    start, size = file.seek(base + value["at"]), file.seek(0, 2)
    if value["$"] != "array" or dtype.kind not in KINDS or min(shape, default=0) < 0 or start + nbytes > size:
        raise ValueError(dtype)
    file.seek(start)
    return np.frombuffer(bytearray(file.read(nbytes)), dtype).reshape(shape)
