"""What stands in the folder of a port: whose it is, and what is taken away before an earlier stage runs anew."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from lwmport import atomic, owned, placing, plain
from lwmport.errors import ArtifactError
from lwmport.pipeline.bundle.run import is_bundle
from lwmport.pipeline.output_checks import check_free
from lwmport.pipeline.port.ledger import NAME
from lwmport.targets.compile.record import RECORDS, listed
from lwmport.types import Preflight

PREFLIGHT: Final = "preflight.json"
MODELS: Final = "models"
COMPILED: Final = "compiled"
MOST_READ: Final = 64 << 20
"""Bytes of a file of ours in which it is looked for what it is."""


def check_ours(out: Path, bundle: Path) -> None:
    """Return if nothing of the user's has a name that a port is going to write; nothing was touched.

    The folders of models and of what is compiled look after themselves, but for a link in their place.

    Raises:
        UsageError: there is a file of another kind, or a link, or ``out`` is a link to an earlier port.
    """
    for folder in (MODELS, COMPILED):
        placing.refuse_link(out / folder)
    for path, is_ours in _files(out, bundle).items():
        check_free(path, is_ours)
    atomic.real_folder(out, lambda folder: [name for name in (NAME, PREFLIGHT) if (folder / name).exists()])


def withdraw(out: Path, bundle: Path, stages: tuple[str, ...]) -> None:
    """Delete what stages wrote that are behind one that runs anew, the last first: it is about other models."""
    if not stages or not out.exists():
        return
    (out / NAME).unlink(missing_ok=True)
    if "bundle" in stages:
        bundle.unlink(missing_ok=True)
    folder = out / COMPILED
    if "compile" in stages and folder.is_dir():
        for path in sorted(folder.glob(RECORDS)):
            placing.clear(folder, owned.Earlier(partial(_listed, path.name))(folder))
        placing.rmdir(folder)
    if "check" in stages:
        (out / PREFLIGHT).unlink(missing_ok=True)


def _listed(name: str, folder: Path) -> Mapping[str, str] | None:
    return listed(folder / name)


def _files(out: Path, bundle: Path) -> Mapping[Path, Callable[[Path], bool]]:
    return {out / NAME: _is_ledger, out / PREFLIGHT: _is_preflight, bundle: is_bundle}


def _is_ledger(path: Path) -> bool:
    found = owned.json_record(path)
    return found is not None and str(found.get("format", "")).startswith("lwmport-port/")


def _is_preflight(path: Path) -> bool:
    try:
        if path.stat().st_size > MOST_READ:
            return False
        for part in json.loads(path.read_bytes()):
            plain.decode(Preflight, part, str(path))
    except (OSError, ValueError, TypeError, RecursionError, ArtifactError):
        return False
    return True
