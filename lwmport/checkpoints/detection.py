"""The format of a file, told by how it begins; its name is not believed."""

import re
from typing import Final

from lwmport.checkpoints.safetensors.index import MAX_HEADER
from lwmport.checkpoints.torch.legacy import MAGIC as LEGACY_TORCH
from lwmport.errors import CheckpointError
from lwmport.instead import instead

PICKLE_TEXT: Final = re.compile(rb"\}|\]|\([]dltcioVXINJKM(}]|c[\w.]+\n[\w.]+\n")
"""How protocols 0 and 1 begin: an empty dict, a mark and what follows it, a name."""

ZIP: Final = b"PK\x03\x04"
"""How an archive begins, which is what ``torch.save`` writes."""

STRANGERS: Final = (
    (rb"\x89HDF", "an HDF5 file"),
    (rb"\x93NUMPY", "one numpy array"),
)
"""What is often found in place of a checkpoint: (how it begins, what it is). No other checkpoint begins so."""


def check_whole(head: bytes) -> None:
    """Return unless a file that begins with ``head`` is no file of tensors but what often lies in the place of one.

    Raises:
        CheckpointError: it is; the message says what, and what to do.
    """
    safetensors = head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_HEADER
    found = "" if safetensors else instead(head)
    if found:
        raise CheckpointError(f"expected tensors, found {found}")


def detect(head: bytes) -> str:
    """Return the format (a name of `lwmport.checkpoints.opening.FORMATS`) of a file that begins with ``head``.

    Raises:
        CheckpointError: none that is known; the message shows the bytes and says what they look like.
    """
    # First, because a header's length can begin like anything; nothing else has zeros and then "{" there.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_HEADER:
        return "safetensors"
    placeholder = instead(head)
    if placeholder:
        raise CheckpointError(f"unknown format: it begins with {head[:16]!r}, {placeholder}")
    for start, what in STRANGERS:
        if re.match(start, head):
            raise CheckpointError(f"unknown format: it begins with {head[:16]!r}, {what}")
    if head.startswith((ZIP, LEGACY_TORCH)):
        return "torch"
    if head[:1] == b"\x80" or PICKLE_TEXT.match(head):
        return "pickle"
    if head[:1] in {b"\x92", b"\xdc", b"\xdd"}:
        return "msgpack_stream"
    if 0x81 <= head[0] <= 0x8F or head[:1] in {b"\xde", b"\xdf"}:
        return "flax_msgpack"
    raise CheckpointError(f"unknown format: it begins with {head[:16]!r}")
