"""Any weights are written to any format, one tensor in memory at a time, whole or not at all."""

from pathlib import Path
from typing import Final

from lwmport.atomic import new_file
from lwmport.checkpoints.writers.base import Progress, Sink, check_writable, silent
from lwmport.disk import check_room
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


def write_checkpoint(weights: Weights, path: Path, format_name: str, progress: Progress | None = None) -> None:
    """Write all weights to one file of a format out of `WRITERS`.

    Raises:
        UsageError: an unknown format.
        CheckpointError: the format cannot hold these weights.
        PortError: the disk has no room for them, or the file cannot be written.
    """
    write = WRITERS[format_name]
    check_writable(weights)
    check_room(path, sum(spec.nbytes for spec in weights.specs.values()))
    with new_file(path) as file:
        write(Sink(file, weights, progress or silent))
