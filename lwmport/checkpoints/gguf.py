"""What a GGUF file says of itself: its header, and no value. Source: ggml/docs/gguf.md, versions 2 and 3."""

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.cursor import Cursor, opened
from lwmport.checkpoints.entry import MAX_TENSORS
from lwmport.errors import CheckpointError
from lwmport.wording import shown

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)

NUMBERS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
"""Type of a value -> how `struct` reads it."""

TEXT: Final = 8
LIST: Final = 9

MAX_KEYS: Final = 10_000
MAX_ITEMS: Final = 10_000_000
"""Entries of one list: a vocabulary has some hundred thousand."""

LONGEST: Final = 1 << 16
"""Bytes of a text that is kept; longer ones are stepped over."""

KINDS: Final = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    30: "BF16",
}
"""Number of a tensor's type -> its name (ggml.h)."""


ALIGNMENT: Final = "general.alignment"
USUAL_ALIGNMENT: Final = 32
"""What offsets are multiples of, where no key says another number."""

MAX_RANK: Final = 4


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """One tensor: its name, its shape with the slowest axis first, its type, and its offset from the front of the data.

    The name of the type is one of `KINDS`; other types are told by their number.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int


@dataclass(frozen=True, kw_only=True)
class Gguf:
    """A header: the version, its keys (lists as their length), its tensors, and where the data begins."""

    version: int
    keys: Mapping[str, Any]
    infos: tuple[GgufTensor, ...]
    data: int

    @property
    def tensors(self) -> dict[str, int]:
        """How many tensors there are of each type."""
        return dict(Counter(info.kind for info in self.infos))


def is_gguf(path: Path) -> bool:
    """Return whether a file begins as GGUF does.

    Raises:
        CheckpointError: it cannot be opened.
    """
    with opened(path) as cursor:
        return cursor.left >= len(MAGIC) and cursor.take(len(MAGIC)) == MAGIC


def read_header(path: Path) -> Gguf:
    """Return what the file says of itself.

    Raises:
        CheckpointError: it is no GGUF, of another version, or damaged.
    """
    with opened(path) as cursor:
        try:
            return _header(cursor)
        except struct.error as error:
            raise CheckpointError(str(error)) from error


def _header(cursor: Cursor) -> Gguf:
    if cursor.left < 24 or cursor.take(4) != MAGIC:
        raise CheckpointError("expected a GGUF file, found another one or a cut one")
    version = cursor.unsigned(4, "little")
    if version not in VERSIONS:
        raise CheckpointError(f"expected GGUF of version {' or '.join(map(str, VERSIONS))}, found {version}")
    tensors, keys = cursor.unsigned(8, "little"), cursor.unsigned(8, "little")
    if tensors > MAX_TENSORS or keys > MAX_KEYS:
        raise CheckpointError(f"damaged: expected at most {MAX_TENSORS:,} tensors and {MAX_KEYS:,} keys, found more")
    found = {}
    for _ in range(keys):
        name = _text(cursor)
        found[shown(name)] = _value(cursor, cursor.unsigned(4, "little"))
    infos = tuple(_tensor(cursor) for _ in range(tensors))
    return Gguf(version=version, keys=found, infos=infos, data=_aligned(cursor.position, found))


def _aligned(position: int, keys: Mapping[str, Any]) -> int:
    step = keys.get(ALIGNMENT, USUAL_ALIGNMENT)
    if not isinstance(step, int) or step < 1:
        raise CheckpointError(f"damaged: expected a number of bytes as {ALIGNMENT}, found {shown(str(step))}")
    return -(-position // step) * step


def _value(cursor: Cursor, kind: int) -> Any:
    if kind == TEXT:
        return _text(cursor)
    if kind == LIST:
        inner, count = cursor.unsigned(4, "little"), cursor.unsigned(8, "little")
        if count > MAX_ITEMS or inner == LIST:
            raise CheckpointError("damaged: expected a list of values in a key, found one too long or a list of lists")
        if inner == TEXT:
            for _ in range(count):
                cursor.skip(cursor.unsigned(8, "little"))
        else:
            cursor.skip(count * struct.calcsize(_form(inner)))
        return f"{count} values"
    form = _form(kind)
    (value,) = struct.unpack(form, cursor.take(struct.calcsize(form)))
    return value


def _form(kind: int) -> str:
    if kind not in NUMBERS:
        raise CheckpointError(f"damaged: unknown type {kind} of a value")
    return NUMBERS[kind]


def _text(cursor: Cursor) -> str:
    length = cursor.unsigned(8, "little")
    if length > LONGEST:
        cursor.skip(length)
        return f"{length} bytes"
    return cursor.take(length).decode("utf-8", "replace")


def _tensor(cursor: Cursor) -> GgufTensor:
    name = _text(cursor)
    rank = cursor.unsigned(4, "little")
    if rank > MAX_RANK:
        raise CheckpointError(f"damaged: expected at most {MAX_RANK} axes of {shown(name)}, found {rank}")
    shape = tuple(cursor.unsigned(8, "little") for _ in range(rank))[::-1]
    kind = cursor.unsigned(4, "little")
    offset = cursor.unsigned(8, "little")
    return GgufTensor(name=name, shape=shape, kind=KINDS.get(kind, f"type {kind}"), offset=offset)
