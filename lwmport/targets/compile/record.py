"""``NAME.compilation.json``: the verdict on one artifact, beside what the compiler made; both appear as one set."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from lwmport import atomic, owned, plain
from lwmport.types import Compilation

RECORDS: Final = "*.compilation.json"
"""The records of a folder."""

Done: TypeAlias = Callable[[Compilation], Compilation]
"""Takes the verdict, writes it down, and returns it with the digests of the files."""


@contextlib.contextmanager
def results(out: Path, component: str, finish: Done = lambda made: made) -> Iterator[tuple[Path, Done]]:
    """Yield a scratch folder, and what is called with the verdict once all files are in it.

    ``finish`` adds to the verdict what its record says beside it. When the block ends well the files take the place of
    what an earlier compilation of the component has left in ``out``.

    Raises:
        PortError: as `lwmport.atomic.new_folder`.
    """
    name = name_of(component)

    with atomic.new_folder(out, last=name, owned=owned.Earlier(lambda folder: listed(folder / name))) as scratch:

        def done(made: Compilation) -> Compilation:
            told = finish(replace(made, sha256=owned.digests(scratch)))
            (scratch / name).write_bytes(text(told))
            return told

        yield scratch, done


def name_of(component: str) -> str:
    """Return the name of the record of a component."""
    return f"{component}.compilation.json"


def text(made: Compilation) -> bytes:
    """Return the record as it is written."""
    return json.dumps(plain.encode(made), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def listed(path: Path) -> Mapping[str, str] | None:
    """Return the files that a record lists, with their digests (`lwmport.owned.Reader`)."""
    found = owned.json_record(path)
    if found is None or not {"component", "target", "commands"} <= found.keys():
        return None
    files = found.get("sha256", {})
    told = files if isinstance(files, dict) and all(isinstance(value, str) for value in files.values()) else {}
    return {**told, path.name: ""}
