"""Any weights are written to any format, one tensor in memory at a time, whole or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from lwmport import atomic
from lwmport.checkpoints import sidecar
from lwmport.checkpoints.writers.base import Progress, Sink, check_writable, silent
from lwmport.disk import check_room
from lwmport.errors import UsageError
from lwmport.placing import refuse_link
from lwmport.registry import Registry
from lwmport.types import Weights

WRITERS: Final = Registry(
    "checkpoint format",
    {
        "pickle": "lwmport.checkpoints.writers.pickle:write",
        "msgpack_stream": "lwmport.checkpoints.writers.msgpack:write_stream",
        "flax_msgpack": "lwmport.checkpoints.writers.msgpack:write_tree",
        "safetensors": "lwmport.checkpoints.writers.safetensors:write",
    },
)
"""Format -> what writes it: ``write(sink)``. The same weights give the same bytes, in whatever order they come."""


HEADERS: Final = 0.02, 1 << 20
"""Part of the tensors' bytes, and bytes, that a format adds at most."""


def check_replaced(path: Path, total: int) -> None:
    """Return if a file at ``path`` may be the one that is going to be written; that is held against it at the end.

    Raises:
        UsageError: it cannot be, by its size, or is a link or a folder; it may be somebody's only copy.
    """
    refuse_link(path)
    if path.is_dir():
        raise UsageError(f"expected a file or nothing at {path}, found a folder; name another file")
    if path.is_file() and not 0 <= path.stat().st_size - total <= max(total * HEADERS[0], HEADERS[1]):
        raise UsageError(f"expected nothing yet at {path}, found another file; remove it or choose another --out")


def write_checkpoint(
    weights: Weights,
    path: Path,
    format_name: str,
    progress: Progress | None = None,
    beside: Callable[[Path], object] | None = None,
) -> None:
    """Write all weights to one file of a format out of `WRITERS`.

    ``beside`` is called with where the file lies, whole, to write `lwmport.checkpoints.sidecar` beside it. Both get
    their names as a set, so that no end of the process leaves one of them alone.

    Raises:
        UsageError: an unknown format.
        CheckpointError: the format cannot hold these weights.
        PortError: the disk has no room for them, or the file cannot be written.
    """
    write = WRITERS[format_name]
    check_writable(weights)
    total = sum(spec.nbytes for spec in weights.specs.values())
    check_replaced(path, total)
    check_room(path, total)
    if beside is None:
        with atomic.new_file(path, over=False) as file:
            write(Sink(file, weights, progress or silent))
        return
    with atomic.new_folder(path.parent, last=path.name, owned=lambda _: sidecar.owned(path), others=False) as scratch:
        with atomic.new_file(scratch / path.name) as file:
            write(Sink(file, weights, progress or silent))
        beside(scratch / path.name)
