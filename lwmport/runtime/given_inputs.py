"""Inputs that a user gives (``--inputs``): a .npz, a .jsonl or a folder of pictures, made into runs of a model.

Several samples in a .npz: an array is one sample where its shape is the input's, and all samples where it has one axis
more in front, ``[samples, ...]``, or where its first axis is a multiple of the input's fixed one. An input that is
there once is the same in every sample. A .jsonl has a sample on each line, ``{"INPUT": values}``; the axis of the batch
may be left out. Pictures are prepared as the model's family says, in the order of their names.

Nothing in the files is executed, and none of them makes more memory than it may (`MOST`, `MOST_PIXELS`).
"""

import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from lwmport import npy, plain
from lwmport.errors import ArtifactError, UsageError, one_line
from lwmport.extras import require
from lwmport.instead import in_place_of
from lwmport.small_files import open_regular, read_small
from lwmport.types import Array, Kind, Preprocessing, Resizing, TensorSpec, dtype_of
from lwmport.validators.pictures import channels_last, scaled, with_channels
from lwmport.validators.resizing import MOST_PIXELS, resized

SUFFIXES: Final = (".npz", ".jsonl")
PICTURES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
FORMATS: Final = ("BMP", "JPEG", "PNG", "WEBP")

MOST: Final = 4 << 30
"""Bytes of all arrays of a .npz, unpacked; they are held in memory."""

MOST_LINES: Final = 256 << 20
"""Bytes of a .jsonl."""

MOST_FILES: Final = 10_000
"""Arrays, lines or pictures."""

TEXT: Final = "text"
"""The key of a line that has a text in place of tokens."""

TOKENIZER: Final = "tokenizer.json"
LARGEST_TOKENIZER: Final = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a model takes.

    Attributes:
        specs: its inputs.
        batch: items of a run, where pictures are put together.
        preprocessing: input -> how a picture becomes it; `lwmport.models.spec.FamilySpec.preprocessing`.
        tokens: the input that a text becomes; empty where the model reads none.
        open: inputs that may be left out, for the model's family fills them in.
        others: inputs of other models that are run on the same files.
    """

    specs: tuple[TensorSpec, ...]
    batch: int = 1
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    tokens: str = ""
    open: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: its inputs, and the names of the files that are shown in it, where it is of pictures."""

    inputs: Mapping[str, Array]
    titles: tuple[str, ...] = ()


class GivenInputs:
    """The file or the folder of ``--inputs``, read once.

    Raises:
        UsageError: it is none of the three kinds, or damaged, or larger than it may be.
    """

    def __init__(self, path: Path, tokenizer: Path | None = None) -> None:
        """Read a file, or the names in a folder; ``tokenizer`` is the folder or the file that the weights come from."""
        self.path = path
        self._tokenizer = tokenizer
        self._pictures: list[Path] = []
        self._arrays: dict[str, Array] = {}
        self._lines: list[dict[str, Any]] = []
        if path.is_dir():
            self._pictures = _pictures_in(path)
        elif path.suffix.lower() == ".npz":
            self._arrays = read_arrays(path)
        elif path.suffix.lower() == ".jsonl":
            self._lines = _lines_of(path)
        else:
            found = path if path.exists() else f"nothing at {path}"
            raise UsageError(f"expected a .npz, a .jsonl or a folder of pictures as --inputs, found {found}")

    @property
    def source(self) -> str:
        """The name of the file or the folder, without where it lies."""
        return self.path.resolve().name

    def words(self, count: int) -> str:
        """Return what ``count`` runs are made of, in a few words."""
        if self._pictures:
            number = min(len(self._pictures), count)
            return f"{number} picture{'' if number == 1 else 's'} of {self.source}"
        return f"{count} sample{'' if count == 1 else 's'} of {self.source}"

    def names(self) -> frozenset[str]:
        """Return the inputs that are there; none for pictures."""
        return frozenset(self._arrays) | frozenset(name for line in self._lines for name in line)

    @property
    def shows(self) -> bool:
        """Whether they are pictures."""
        return bool(self._pictures)

    def samples(self, wanted: Wanted, count: int | None = None) -> tuple[Sample, ...]:
        """Return the runs of a model: all of them, or the first ``count``.

        Raises:
            UsageError: an input is missing, unknown, or of another dtype or shape; an index lies outside of what it
                looks into; there are fewer samples than are asked for.
        """
        if self._pictures:
            found = _of_pictures(self._pictures, wanted, self.path, count)
        elif self._arrays:
            found = self._of_arrays(wanted)
        else:
            found = [self._of_line(number, line, wanted) for number, line in enumerate(self._lines, start=1)]
        if count is not None and len(found) < count:
            raise UsageError(f"expected at least {count} samples in {self.path} (--samples), found {len(found)}")
        return tuple(found[:count])

    def _of_arrays(self, wanted: Wanted) -> list[Sample]:
        self._check_names(frozenset(self._arrays), wanted, "")
        specs = [spec for spec in wanted.specs if spec.name in self._arrays]
        rows = {spec.name: _rows(self._arrays[spec.name], spec, str(self.path)) for spec in specs}
        counts = {name: len(found) for name, found in rows.items() if len(found) > 1}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{number} of {name}" for name, number in counts.items())
            raise UsageError(f"{self.path}: expected as many samples of each input, found {told}")
        number = max([1, *counts.values()])
        made = [{name: found[item if len(found) > 1 else 0] for name, found in rows.items()} for item in range(number)]
        for item, inputs in enumerate(made):
            _check_sizes(specs, inputs, f"{self.path}{f', sample {item}' if number > 1 else ''}")
        return [Sample(inputs=inputs) for inputs in made]

    def _of_line(self, number: int, line: Mapping[str, Any], wanted: Wanted) -> Sample:
        where = f"{self.path}, line {number}"
        if TEXT in line and TEXT not in {spec.name for spec in wanted.specs}:
            line = self._with_tokens(line, wanted, where)
        self._check_names(frozenset(line), wanted, f", line {number}")
        specs = [spec for spec in wanted.specs if spec.name in line]
        inputs = {spec.name: _value(line[spec.name], spec, where) for spec in specs}
        _check_sizes(specs, inputs, where)
        return Sample(inputs=inputs)

    def _with_tokens(self, line: Mapping[str, Any], wanted: Wanted, where: str) -> dict[str, Any]:
        """Return a line with the tokens of its text."""
        if not wanted.tokens:
            names = ", ".join(spec.name for spec in wanted.specs)
            raise UsageError(f"{where}: expected the inputs {names}, found a text, which this model does not read")
        if wanted.tokens in line:
            raise UsageError(f"{where}: expected a text or {wanted.tokens}, found both")
        text = line[TEXT]
        if not isinstance(text, str) or not text:
            raise UsageError(f"{where}: expected some text, found {text!r}"[:300])
        rest = {name: value for name, value in line.items() if name != TEXT}
        return {**rest, wanted.tokens: _tokenized(text, self._tokenizer, wanted.tokens, where)}

    def _check_names(self, found: frozenset[str], wanted: Wanted, where: str) -> None:
        names = [spec.name for spec in wanted.specs]
        missing = [name for name in names if name not in found and name not in wanted.open]
        extra = sorted(found - set(names) - wanted.others)
        if missing or extra:
            needed = [name for name in names if name not in wanted.open]
            shown = _listed(sorted(found))
            raise UsageError(f"{self.path}{where}: expected the inputs {_listed(needed)}, found {shown}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 6 else ""
    return ", ".join(ascii(name)[1:-1] for name in (names[:5] if more else names)) + more or "none"


# --- a .npz -----------------------------------------------------------------------------------------------------------


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


def _rows(array: Array, spec: TensorSpec, where: str) -> list[Array]:
    """Return the samples that an array holds; one where it is the same in all of them."""
    first = spec.shape[0] if spec.shape else 0
    if _fits(spec, array.shape):
        found = [array]
    elif array.ndim == len(spec.shape) + 1 and len(array) and _fits(spec, array.shape[1:]):
        found = list(array)
    elif (
        isinstance(first, int)
        and first > 0
        and len(spec.shape) > 1
        and array.ndim == len(spec.shape)
        and len(array)
        and not len(array) % first
        and _fits(spec, (first, *array.shape[1:]))
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


def _fits(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    return len(shape) == len(spec.shape) and all(
        isinstance(dim, str) or dim == size for dim, size in zip(spec.shape, shape, strict=True)
    )


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
    return _in_range(np.ascontiguousarray(array.astype(wanted, copy=False)).reshape(array.shape), spec, where)


def _in_range(array: Array, spec: TensorSpec, where: str) -> Array:
    """Return the array, if every index lies within what it looks into."""
    if array.dtype.kind in "iu" and spec.value_range and array.size:
        low, high = spec.value_range
        least, most = array.min(), array.max()
        if least < low or most > high:
            raise UsageError(f"{where}: expected {spec.name} from {low:.0f} to {high:.0f}, found {least} to {most}")
    return array


def _check_sizes(specs: Sequence[TensorSpec], inputs: Mapping[str, Array], where: str) -> None:
    """Return if a size that several inputs have by name is the same in all; ``past + sequence`` is a sum of such."""
    sizes: dict[str, tuple[int, str]] = {}
    sums: list[tuple[str, int, str]] = []
    for spec in specs:
        for dim, size in zip(spec.shape, inputs[spec.name].shape, strict=True):
            if not isinstance(dim, str):
                continue
            if "+" in dim:
                sums.append((dim, size, spec.name))
            elif sizes.setdefault(dim, (size, spec.name))[0] != size:
                known, other = sizes[dim]
                raise UsageError(f"{where}: expected {dim} {known} of {spec.name} as of {other}, found {size}")
    for dim, size, name in sums:
        parts = [part.strip() for part in dim.split("+")]
        if all(part.isdecimal() or part in sizes for part in parts):
            total = sum(int(part) if part.isdecimal() else sizes[part][0] for part in parts)
            if total != size:
                raise UsageError(f"{where}: expected {dim} = {total} of {name}, found {size}")


# --- a .jsonl ---------------------------------------------------------------------------------------------------------


def _lines_of(path: Path) -> list[dict[str, Any]]:
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


def _value(value: Any, spec: TensorSpec, where: str) -> Array:
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
    if not _fits(spec, array.shape):
        dims = ", ".join(map(str, spec.shape))
        raise UsageError(f"{where}: expected {spec.name} as {spec.dtype}[{dims}], found {list(array.shape)}")
    _in_range(array, spec, where)
    with np.errstate(over="ignore"):
        found = array.astype(wanted)
    if wanted.kind in "iu" and not np.array_equal(found, array):
        raise UsageError(f"{where}: expected {spec.name} as {spec.dtype}, found numbers that it does not hold")
    return found


def _tokenized(text: str, beside: Path | None, name: str, where: str) -> list[int]:
    """Return the tokens of a text, by the tokenizer.json that lies beside the weights."""
    folder = None if beside is None else beside if beside.is_dir() else beside.parent
    file = None if folder is None else folder / TOKENIZER
    if file is None or not file.is_file():
        place = "none, for there is no checkpoint" if folder is None else f"none in {folder}"
        raise UsageError(f"{where}: expected {TOKENIZER} beside the checkpoint for a text, found {place}; give {name}")
    if file.stat().st_size > LARGEST_TOKENIZER:
        raise UsageError(f"expected {file} of at most {LARGEST_TOKENIZER:,} bytes, found {file.stat().st_size:,}")
    tokenizers = require("tokenizers")
    try:
        found: list[int] = tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8")).encode(text).ids
    except Exception as error:  # the library raises bare Exceptions
        raise UsageError(f"expected a tokenizer in {file}, found: {in_place_of(file) or one_line(error)}") from error
    return found


# --- pictures ---------------------------------------------------------------------------------------------------------


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())
    if not 1 <= len(found) <= MOST_FILES:
        raise UsageError(
            f"expected 1 to {MOST_FILES} pictures ({', '.join(PICTURES)}) in {folder}, found {len(found) or 'none'}"
        )
    return found


def _of_pictures(files: Sequence[Path], wanted: Wanted, folder: Path, count: int | None) -> list[Sample]:
    """Return runs of ``wanted.batch`` pictures; the last one is filled up with the first pictures."""
    shown = [spec for spec in wanted.specs if spec.kind is Kind.PICTURE]
    if len(shown) != 1 or len(wanted.specs) != 1:
        names = ", ".join(spec.name for spec in wanted.specs)
        raise UsageError(f"{folder}: expected a .npz or a .jsonl with {names}, found a folder of pictures")
    (spec,) = shown
    runs = -(-len(files) // wanted.batch)
    if count is not None and runs >= count:
        runs = count
    return [_run_of(spec, wanted, [files[item % len(files)] for item in _places(run, wanted.batch)])
            for run in range(runs)]  # fmt: skip


def _places(run: int, batch: int) -> range:
    return range(run * batch, (run + 1) * batch)


def _run_of(spec: TensorSpec, wanted: Wanted, files: Sequence[Path]) -> Sample:
    height, width, channels = channels_last(spec)
    how = wanted.preprocessing.get(spec.name, Preprocessing())
    fitted = np.stack([opened_picture(file, (height, width), how.resizing) for file in files])
    made = scaled(with_channels(fitted, channels), spec, how.normalisation)
    return Sample(inputs={spec.name: made}, titles=tuple(file.name for file in files))


def _unread(error: Exception) -> str:
    """Return why Pillow did not read a file, without the name of it."""
    if isinstance(error, UnidentifiedImageError):
        return f"another kind of file than {', '.join(FORMATS)}"
    return error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)


def opened_picture(path: Path, size: tuple[int, int], how: Resizing) -> Array:
    """Return a picture of a height and width: float32 [height, width, 3] in [0, 255]."""
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            open_regular(path) as stream,
            Image.open(stream, formats=FORMATS) as image,
        ):
            large = image.width * image.height > MOST_PIXELS
            found = None if large else resized(image.convert("RGB"), size, how)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except Exception as error:  # Pillow raises many types, struct.error and SyntaxError among them
        raise UsageError(f"expected a picture at {path}, found: {in_place_of(path) or _unread(error)}") from error
    if found is None:
        raise UsageError(f"expected at most {MOST_PIXELS:,} pixels in {path}, found more")
    return found
