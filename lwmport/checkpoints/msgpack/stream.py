"""LWM's ``streaming_params``: one msgpack pair (path, bytes of a flax array) after another, to the end of the file."""

from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.msgpack.flax_arrays import array_entry
from lwmport.checkpoints.msgpack.walk import Blob, Extension, Walker
from lwmport.checkpoints.tree import BESIDE, MAX_DEPTH, TrainStateError, add, without_params
from lwmport.errors import CheckpointError
from lwmport.wording import kind_of, shown

TRAIN_STATE: Final = ("params", "params")
"""Where a train state holds the parameters, beside the optimiser's state."""

MAX_VALUE_OBJECTS: Final = 10_000
"""Objects in one value: a chunk takes two, so this is 5 TiB in flax's chunks of 1 GiB."""


def index(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every tensor of the stream lies, by name.

    Raises:
        CheckpointError: truncated, damaged, or holding something else than tensors.
    """
    entries = without_params(without_params(_entries(cursor, ())))  # a train state keeps flax variables as its params
    inside = "/".join(TRAIN_STATE) + "/"
    others = sum(not name.startswith(inside) for name in entries)
    if others < len(entries):
        raise TrainStateError(
            f"expected parameters alone, found a train state with {others} tensors beside them; "
            "open it as trainstate_params::PATH"
        )
    return entries


def index_train_state(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where the parameters of a train state lie, by name without ``params/params/``; the rest is skipped.

    Raises:
        CheckpointError: truncated, damaged, or without parameters.
    """
    entries = _entries(cursor, TRAIN_STATE)
    if not entries:
        raise CheckpointError(f"expected tensors under {'/'.join(TRAIN_STATE)}, found none; is it a params:: file?")
    return entries


def _entries(cursor: Cursor, prefix: tuple[str, ...]) -> dict[str, TensorEntry]:
    entries: dict[str, TensorEntry] = {}
    while cursor.left:
        offset = cursor.position
        path, value = _record(Walker(cursor, MAX_DEPTH), offset)
        if path[: len(prefix)] == prefix:
            name = "/".join(path[len(prefix) :])
            add(entries, name, _value(value, cursor, name))
    return entries


def _record(walker: Walker, offset: int) -> tuple[tuple[str, ...], Blob]:
    match walker.value():
        case (list() as path, Blob() as value):
            parts = tuple(part for part in path if isinstance(part, str))
            if len(parts) == len(path):
                return parts, value
    raise CheckpointError(f"damaged: expected a pair of path and bytes at offset {offset}, found something else")


def _value(blob: Blob, cursor: Cursor, name: str) -> TensorEntry:
    walker = Walker(cursor.window(blob.offset, blob.length), MAX_VALUE_OBJECTS)
    value = walker.value()
    entry = array_entry(value, walker.cursor) if isinstance(value, Extension | dict) else None
    if entry is None:
        hint = "; a train state is opened as trainstate_params::PATH"
        kind = TrainStateError if name in BESIDE else CheckpointError
        raise kind(f"{shown(name)}: expected an array, found {kind_of(value)}{hint}")
    if walker.cursor.left:
        raise CheckpointError(f"{shown(name)}: damaged: {walker.cursor.left} bytes after the array")
    return entry
