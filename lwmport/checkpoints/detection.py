"""The format of a file, told by how it begins; its name is not believed."""

import re
from typing import Final

from lwmport.checkpoints.safetensors.index import MAX_HEADER
from lwmport.errors import CheckpointError

HEAD: Final = 300
"""Bytes that are looked at."""

PICKLE_TEXT: Final = re.compile(rb"\}|\]|\([]dltcioVXINJKM(}]|c[\w.]+\n[\w.]+\n")
"""How protocols 0 and 1 begin: an empty dict, a mark and what follows it, a name."""

STRANGERS: Final = (
    (rb"PK\x03\x04", "a zip archive, such as PyTorch's .bin (name its folder) or numpy's .npz"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb"\x1f\x8b", "a gzip archive: unpack it first"),
    (rb"GGUF", "a GGUF file"),
    (rb"\x93NUMPY", "one numpy array"),
    (rb"version https://git-lfs", "a Git LFS pointer instead of the file: run git lfs pull"),
    (rb"\s*<", "a web page instead of the file: download it again"),
)
"""What is often found in place of a checkpoint: (how it begins, what it is). No other checkpoint begins so."""


def detect(head: bytes) -> str:
    """Return the format (a name of `lwmport.checkpoints.opening.FORMATS`) of a file that begins with ``head``.

    Raises:
        CheckpointError: none that is known; the message shows the bytes and says what they look like.
    """
    # First, because a header's length can begin like anything; nothing else has zeros and then "{" there.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_HEADER:
        return "safetensors"
    for start, what in STRANGERS:
        if re.match(start, head):
            raise CheckpointError(f"unknown format: it begins with {head[:16]!r}, {what}")
    if head[:1] == b"\x80" or PICKLE_TEXT.match(head):
        return "pickle"
    if head[:1] in {b"\x92", b"\xdc", b"\xdd"}:
        return "msgpack_stream"
    if 0x81 <= head[0] <= 0x8F or head[:1] in {b"\xde", b"\xdf"}:
        return "flax_msgpack"
    raise CheckpointError(f"unknown format: it begins with {head[:16]!r}")
