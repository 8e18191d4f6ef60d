"""Names that every system can hold, inside a folder, as one file each; all others are refused."""

import re
from collections.abc import Iterable
from typing import Final

from lwmport.errors import ArtifactError

LONGEST: Final = 200
"""Characters of a name: with the folder it is unpacked into, Windows takes 260."""
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_+=@,()\[\]{}~^&%#!$'. /-]+")
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])( *\..*)?", re.IGNORECASE)
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def check(name: str) -> None:
    """Return if the name is one of a file inside a folder, on every system.

    Raises:
        ArtifactError: it is not; the message says why.
    """
    reason = refusal(name)
    if reason:
        shown = ascii(name[: LONGEST // 2])
        raise ArtifactError(f"expected the name of a file inside the bundle, found {shown}: {reason}")


def check_all(names: Iterable[str]) -> None:
    """Return if every name is fit, and no two of them mean one file.

    Raises:
        ArtifactError: they are not.
    """
    seen: dict[str, str] = {}
    for name in names:
        check(name)
        key = name.casefold()
        if key in seen:
            how = "twice" if seen[key] == name else f"beside {seen[key]!r}, which some systems take for the same"
            raise ArtifactError(f"expected every name once, found {name!r} {how}")
        seen[key] = name
    for key, name in seen.items():
        parts = key.split("/")
        for length in range(1, len(parts)):
            if "/".join(parts[:length]) in seen:
                raise ArtifactError(f"expected files in folders, found {name!r} inside of a file")


def refusal(name: str) -> str:
    """Return why a name is refused, or nothing."""
    parts = name.split("/")
    reasons = (
        (not name or len(name) > LONGEST, f"it has {len(name)} characters, 1 to {LONGEST} are taken"),
        ("\\" in name, "it holds a backslash"),
        (_DRIVE.match(name) is not None, "it names a drive"),
        (name.startswith("/"), "it is absolute"),
        (".." in parts, "it leads out of the bundle"),
        (name.endswith("/"), "it is a folder"),
        (any(part in ("", ".") for part in parts), "it has an empty part"),
        (_CHARACTERS.fullmatch(name) is None, "it holds characters that some systems do not take"),
        (any(part.endswith((".", " ")) or part.startswith(" ") for part in parts), "Windows drops its dot or space"),
        (any(_DEVICE.fullmatch(part) for part in parts), "it is a device on Windows"),
    )
    return next((reason for wrong, reason in reasons if wrong), "")
