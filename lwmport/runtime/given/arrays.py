"""The arrays of a .npz, and the samples that each holds."""

import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from lwmport import npy
from lwmport.errors import ArtifactError, UsageError, one_line
from lwmport.runtime.given.fitting import fits, in_range
from lwmport.runtime.given.wanted import MOST_FILES
from lwmport.small_files import open_regular
from lwmport.types import Array, TensorSpec, dtype_of

MOST: Final = 4 << 30
"""Bytes of all arrays of a .npz, unpacked; they are held in memory."""


def read_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of a .npz by name."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            found = _members(archive, path)
    except UsageError:
        raise
    except ArtifactError as error:
        raise UsageError(str(error)) from error
    except Exception as error:  # zlib.error, LZMAError, BadZipFile: each compression has its own
        reason = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise UsageError(f"expected a .npz of arrays at {path}, found: {reason or type(error).__name__}") from error
    if not found:
        raise UsageError(f"expected arrays in {path}, found none")
    return found


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, Array]:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > MOST_FILES or total > MOST:
        raise UsageError(
            f"{path}: expected at most {MOST_FILES} arrays of {MOST:,} bytes in all, found {len(members)} of {total:,}"
        )
    found: dict[str, Array] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name == member.filename or name in found:
            raise UsageError(f"{path}: expected NAME.npy, each once, found {ascii(member.filename)[:100]}")
        found[name] = _native(npy.read(archive.read(member), f"{path}, {ascii(name)[1:-1]}"))
    return found


def _native(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def rows_of(array: Array, spec: TensorSpec, where: str) -> list[Array]:
    """Return the samples that an array holds; one where it is the same in all of them."""
    first = spec.shape[0] if spec.shape else 0
    if fits(spec, array.shape):
        found = [array]
    elif array.ndim == len(spec.shape) + 1 and len(array) and fits(spec, array.shape[1:]):
        found = list(array)
    elif (
        isinstance(first, int)
        and first > 0
        and len(spec.shape) > 1
        and array.ndim == len(spec.shape)
        and len(array)
        and not len(array) % first
        and fits(spec, (first, *array.shape[1:]))
    ):
        found = list(array.reshape(-1, first, *array.shape[1:]))
    else:
        wanted = ", ".join(map(str, spec.shape))
        samples = f"[samples{', ' if wanted else ''}{wanted}]"
        raise UsageError(
            f"{where}: expected {spec.name} as {spec.dtype}[{wanted}], or {samples} for several samples, found "
            f"{array.dtype}{list(array.shape)}"
        )
    return [_cast(one, spec, where) for one in found]


def _cast(array: Array, spec: TensorSpec, where: str) -> Array:
    """Return an array in the dtype of its input: the same one, or a narrower one of the same kind."""
    wanted = dtype_of(spec.dtype)
    if array.dtype != wanted:
        narrow = wanted.name == "bfloat16" and array.dtype == np.float32
        kinds = array.dtype.kind, wanted.kind
        safe = (kinds[0] == kinds[1] or kinds == ("u", "i")) and np.can_cast(array.dtype, wanted, "safe")
        if not safe and not narrow:
            raise UsageError(
                f"{where}: expected {spec.name} as {spec.dtype}, found {array.dtype}; convert it: "
                f"ARRAY.astype({'float32' if wanted.name == 'bfloat16' else spec.dtype!r})"
            )
    return in_range(np.ascontiguousarray(array.astype(wanted, copy=False)).reshape(array.shape), spec, where)
