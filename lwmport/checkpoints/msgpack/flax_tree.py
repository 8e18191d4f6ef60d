"""A parameter tree as one flax msgpack object (``flax.serialization.to_bytes``)."""

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.msgpack.flax_arrays import array_entry
from lwmport.checkpoints.msgpack.walk import Walker
from lwmport.checkpoints.tree import flatten, without_params
from lwmport.errors import CheckpointError


def index(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every array of the tree lies, by name.

    Raises:
        CheckpointError: truncated, damaged, or holding something else than a nested dict of arrays.
    """
    tree = Walker(cursor).value()
    if cursor.left:
        raise CheckpointError(f"expected the end after the msgpack object, found {cursor.left} more bytes")
    return without_params(flatten(tree, lambda value: array_entry(value, _whole(cursor))))


def _whole(cursor: Cursor) -> Cursor:
    """A cursor whose windows may lie anywhere in the file."""
    return Cursor(cursor.descriptor, 0, cursor.end)
