"""A parameter tree as one flax msgpack object (``flax.serialization.to_bytes``)."""

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.msgpack.flax_arrays import array_entry
from lwmport.checkpoints.msgpack.walk import Walker
from lwmport.checkpoints.tree import PARAMS, TrainStateError, flatten, is_train_state, without_params
from lwmport.errors import CheckpointError
from lwmport.wording import few


def index(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every array of the tree lies, by name.

    Raises:
        CheckpointError: truncated, damaged, or holding something else than a nested dict of arrays.
    """
    tree = _tree(cursor)
    if isinstance(tree, dict) and is_train_state(tree):
        raise TrainStateError(f"expected parameters alone, found a train state: {few(tree)}")
    return _entries(tree, cursor)


def index_train_state(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where the parameters of a train state lie, by name without ``params/``; the rest is skipped.

    Raises:
        CheckpointError: truncated, damaged, or no train state.
    """
    tree = _tree(cursor)
    if not isinstance(tree, dict) or PARAMS not in tree:
        raise CheckpointError(f"expected a train state with {PARAMS}, found none; leave the prefix out")
    return _entries(tree[PARAMS], cursor)


def _tree(cursor: Cursor) -> object:
    tree = Walker(cursor).value()
    if cursor.left:
        raise CheckpointError(f"expected the end after the msgpack object, found {cursor.left} more bytes")
    return tree


def _entries(tree: object, cursor: Cursor) -> dict[str, TensorEntry]:
    return without_params(flatten(tree, lambda value: array_entry(value, _whole(cursor))))


def _whole(cursor: Cursor) -> Cursor:
    """A cursor whose windows may lie anywhere in the file."""
    return Cursor(cursor.descriptor, 0, cursor.end)
