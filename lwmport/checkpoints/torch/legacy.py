"""The format of ``torch.save`` before PyTorch 1.6: pickles one behind the other, then the bytes of every storage.

In order: a magic number, the protocol's, facts of the machine, the value with references to storages by key, the list
of keys, and for each key its number of elements in 8 bytes and the elements. All numbers are little-endian. Source:
torch/serialization.py (``_legacy_save``), torch/csrc/generic/serialization.cpp (``THPStorage_writeFileRaw``).
"""

from collections.abc import Mapping
from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import MAX_TENSORS
from lwmport.checkpoints.pickle.values import Text
from lwmport.checkpoints.pickle.vm import run
from lwmport.checkpoints.torch.names import Storages
from lwmport.errors import CheckpointError
from lwmport.types import dtype_of
from lwmport.wording import shown

MAGIC: Final = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file begins: its magic number, pickled."""

PROTOCOL: Final = 1001


def is_legacy(cursor: Cursor) -> bool:
    """Return whether the file at the cursor begins as one of this format."""
    count = min(len(MAGIC), cursor.left)
    return cursor.window(cursor.position, count).take(count) == MAGIC


def value(cursor: Cursor) -> object:
    """Return what the file holds, its tensors described where they lie.

    The value comes before the list of keys, and both before the bytes: it is read once to learn what each key holds,
    and once more when it is known where.

    Raises:
        CheckpointError: truncated, damaged, or hostile.
    """
    cursor.skip(len(MAGIC))
    asked: dict[str, tuple[str, int]] = {}

    def ask(key: str, dtype: str, count: int) -> int:
        if asked.setdefault(key, (dtype, count)) != (dtype, count):
            raise CheckpointError(f"damaged: the storage {shown(key)} is said to hold two kinds of numbers")
        return 0

    names = Storages(ask).names
    protocol = run(cursor, names, alone=False)
    if protocol != PROTOCOL:
        raise CheckpointError(f"expected the protocol {PROTOCOL} of torch.save, found {shown(repr(protocol))}")
    run(cursor, names, alone=False)
    begin = cursor.position
    run(cursor, names, alone=False)
    offsets = _offsets(cursor, run(cursor, names, alone=False), asked)

    def locate(key: str, _dtype: str, _count: int) -> int:
        if key not in offsets:
            raise CheckpointError(f"damaged: the pickle refers to the storage {shown(key)}, which the file has not")
        return offsets[key]

    return run(cursor.window(begin, cursor.end - begin), Storages(locate).names, alone=False)


def _offsets(cursor: Cursor, keys: object, asked: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    """Return where the elements of each storage begin."""
    if not isinstance(keys, list) or len(keys) > MAX_TENSORS:
        raise CheckpointError("damaged: expected a list of storages behind the value, found something else")
    found: dict[str, int] = {}
    for text in keys:
        key = text.value if isinstance(text, Text) else None
        if key is None or key not in asked or key in found:
            raise CheckpointError("damaged: expected each storage of the value once in the list of them, found another")
        dtype, count = asked[key]
        held = cursor.unsigned(8, "little")
        if held != count:
            raise CheckpointError(f"damaged: expected {count} values in the storage {shown(key)}, found {held}")
        found[key] = cursor.skip(count * dtype_of(dtype).itemsize)
    if cursor.left:
        raise CheckpointError(f"expected the end after the last storage, found {cursor.left} more bytes")
    return found
