"""What often lies in the place of a file that was to be downloaded, told by how it begins."""

import re
from pathlib import Path
from typing import Final

HEAD: Final = 300
"""Bytes that are looked at."""

ZEROS: Final = 64
"""Zeros in a row at the front that no format has."""

_AGAIN: Final = "download it again"
_UNPACK: Final = "unpack it first"

_BEGINNINGS: Final = (
    (rb"version https://git-lfs", "a Git LFS pointer instead of the file: run git lfs pull"),
    (rb"/?(\.git/)?annex/objects/", "a git-annex pointer instead of the file: run git annex get"),
    (rb"(\xef\xbb\xbf)?\s*<(!|html|head|body|\?xml|[Ee]rror)", f"a web page instead of the file: {_AGAIN}"),
    (rb"(Entry not found|Not Found|404|Invalid (username|credentials)|Access to |Repository not found|Unauthorized)",
     f"a message of a server instead of the file: {_AGAIN}, with the rights that it asks for"),
    (rb"\x1f\x8b", f"a gzip archive: {_UNPACK}"),
    (rb"BZh[1-9]1AY&SY", f"a bzip2 archive: {_UNPACK}"),
    (rb"\xfd7zXZ\x00", f"an xz archive: {_UNPACK}"),
    (rb"\x28\xb5\x2f\xfd", f"a zstd archive: {_UNPACK}"),
    (rb"7z\xbc\xaf\x27\x1c", f"a 7z archive: {_UNPACK}"),
    (rb"Rar!\x1a\x07", f"a rar archive: {_UNPACK}"),
    (rb"(?s).{257}ustar", f"a tar archive: {_UNPACK}"),
)  # fmt: skip
"""(how it begins, what it is)."""


def instead(head: bytes) -> str:
    """Return what lies in the place of a file that begins with ``head``, and what to do; an empty text if nothing does.

    Only what no model and no checkpoint begins with is told. ``head`` are the first `HEAD` bytes, or all of fewer.
    """
    if not head:
        return f"an empty file: {_AGAIN}"
    if len(head) >= ZEROS and not any(head[:ZEROS]):
        return f"a file that begins with zeros, as a download that did not end leaves it: {_AGAIN}"
    return next((what for start, what in _BEGINNINGS if re.match(start, head)), "")


def in_place_of(path: Path) -> str:
    """Return what lies in the place of a file (`instead`); an empty text too where it cannot be read.

    A pipe is not opened: it never ends.
    """
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return instead(file.read(HEAD))
    except OSError:
        return ""
