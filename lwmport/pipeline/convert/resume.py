"""Which unfinished work a request may go on with: its own, of the very same weights, and nothing else."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lwmport
from lwmport import atomic, digest, extras, journal
from lwmport.checkpoints.adapted import AdaptedCheckpoint
from lwmport.checkpoints.model_weights import ModelWeights
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.reports import numbers


def identity(facts: Mapping[str, Any], weights: ModelWeights) -> str:
    """Return the text that is the same for two runs if, and only if, they write the same bytes.

    A checkpoint is known by its path, the sizes and times of its files, and what the headers in it say: its own digest
    would cost as much time as converting it.
    """
    whole = {"lwmport": lwmport.__version__, "versions": extras.versions(), "weights": _weights(weights), **facts}
    return digest.canonical(whole)


def done_bytes(out: Path, request: str) -> int:
    """Return how many bytes an interrupted run of the same request has left in ``out``, as far as its journals know."""
    scratch = out / atomic.UNFINISHED
    note = scratch / atomic.REQUEST
    return journal.done_bytes(scratch) if note.is_file() and note.read_text(encoding="utf-8") == request else 0


@contextlib.contextmanager
def told(out: Path, request: str) -> Iterator[None]:
    """Say, when the work is interrupted, how much of it is kept, and how to go on.

    Raises:
        KeyboardInterrupt: the work was interrupted; with a text where something is kept.
    """
    try:
        yield
    except BaseException as error:
        if not atomic.is_interruption(error):
            raise
        done = done_bytes(out, request)
        kept = f"interrupted; {numbers.size(done)} are done and kept in {out}, and the same command goes on from there"
        raise KeyboardInterrupt(*([kept] if done else [])) from error


def _weights(weights: ModelWeights) -> Any:
    if isinstance(weights, SeededWeights):
        return weights.digest()
    if isinstance(weights, AdaptedCheckpoint):
        return {"base": _weights(weights.base), "adapter": weights.adapter.digest()}
    path = weights.path.resolve()
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = {file.name: _state(file) for file in files}
    index = {name: [list(spec.shape), spec.dtype] for name, spec in weights.specs.items()}
    return {"path": str(path), "files": states, "index": digest.of_json(index), "format": weights.format}


def _state(file: Path) -> list[int]:
    """Return size and time of a file; of a link that leads nowhere, which nothing was read through, its own."""
    found = file.stat() if file.exists() else file.lstat()
    return [found.st_size, found.st_mtime_ns]
