"""The tensors of a pickled parameter tree, such as LWM's VQGAN checkpoint."""

from collections.abc import Mapping

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.pickle.names import NAMES
from lwmport.checkpoints.pickle.values import Array
from lwmport.checkpoints.pickle.vm import run
from lwmport.checkpoints.reading import decoded
from lwmport.checkpoints.tree import flatten, without_params
from lwmport.errors import CheckpointError
from lwmport.wording import kind_of, shown


def index(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every array of the pickle lies, by name.

    Raises:
        CheckpointError: the file is damaged, hostile, or holds something else than a nested dict of arrays.
    """
    entries = flatten(run(cursor, NAMES), _leaf)
    _check_text(cursor, entries)
    return without_params(entries)


def _check_text(cursor: Cursor, entries: Mapping[str, TensorEntry]) -> None:
    """Hold the length of bytes written as text against the shapes: it is known only after reading them, once each."""
    lengths: dict[tuple[int, int], int] = {}
    for name, entry in entries.items():
        if not entry.codec:
            continue
        (piece,) = entry.pieces
        if piece not in lengths:
            lengths[piece] = len(decoded(cursor.window(*piece).take(piece[1]), entry.codec))
        if lengths[piece] != entry.nbytes:
            raise CheckpointError(f"{shown(name)}: expected {entry.nbytes} bytes, found {lengths[piece]} in the text")


def _leaf(value: object) -> TensorEntry | None:
    if isinstance(value, dict):
        return None
    if not isinstance(value, Array):
        raise CheckpointError(f"expected an array or a dict, found {kind_of(value)}")
    if value.entry is None:
        raise CheckpointError("damaged: an array without its content")
    return value.entry
