"""Digest every artifact: each component in each dialect and precision. The same code gives the same digests twice.

    python tools/artifact_digests.py before.json
    python tools/artifact_digests.py after.json --against before.json

Sizes are debug sizes unless ``--config`` says otherwise, and weights are seeded: what is held is the lowering. What
cannot be converted (a dialect that takes whole language models alone, say) is listed with the reason.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lwmport.cli.listing import catalogue
from lwmport.cli.main import cli
from lwmport.errors import PortError

PRECISIONS: Final = ("float32", "float16")
BESIDE: Final = ("manifest.json",)
"""Files that say how an artifact was made, and are none."""


def main() -> int:
    """Write the digests, tell what differs from an earlier run, and return 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--config", default="debug")
    parser.add_argument("--component", action="append", help="only this one; may be given several times")
    parser.add_argument("--dialect", action="append", help="only this one; may be given several times")
    given = parser.parse_args()
    found: dict[str, Any] = {}
    for component, form, dialect in _matrix(given.component, given.dialect):
        for precision in PRECISIONS:
            found[f"{component} {dialect} {precision}"] = _digests(component, form, dialect, precision, given.config)
    given.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stderr.write(f"{len(found)} conversions in {given.out}\n")
    if given.against is None:
        return 0
    before = json.loads(given.against.read_text(encoding="utf-8"))
    whole = given.component is None and given.dialect is None
    return _compare({**dict.fromkeys(before), **found} if whole else found, before)


def _matrix(components: list[str] | None, dialects: list[str] | None) -> Iterator[tuple[str, str, str]]:
    listed = catalogue()
    for component in components or listed["components"]:
        for dialect, text in listed["dialects"].items():
            if dialects is None or dialect in dialects:
                yield component, text.partition(":")[0], dialect


def _digests(component: str, form: str, dialect: str, precision: str, config: str) -> Any:
    """Return file -> digest of one conversion, or why there is none."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        words = ["convert", "--component", component, "--to", form, "--dialect", dialect, "--precision", precision]
        try:
            with Path(os.devnull).open("w", encoding="utf-8") as null:
                sys.stdout = null
                cli.main([*words, "--config", config, "--no-validate", "--out", str(out)], standalone_mode=False)
        except PortError as error:
            return str(error)
        finally:
            sys.stdout = sys.__stdout__
        files = sorted(path for path in out.rglob("*") if path.is_file() and path.name not in BESIDE)
        return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _compare(found: dict[str, Any], before: dict[str, Any]) -> int:
    names = sorted(found)
    differ = [name for name in names if found.get(name) != before.get(name)]
    for name in differ:
        sys.stdout.write(f"{name}: {before.get(name)} -> {found.get(name)}\n")
    sys.stdout.write(f"{len(names) - len(differ)} the same, {len(differ)} differ\n")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
