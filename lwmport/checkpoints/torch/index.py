"""The tensors of a file that ``torch.save`` wrote (``.bin``, ``.pth``), without PyTorch and without running it."""

from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.pickle.values import Array
from lwmport.checkpoints.pickle.vm import run
from lwmport.checkpoints.torch import legacy
from lwmport.checkpoints.torch.names import Storages
from lwmport.checkpoints.torch.zip_members import Member, members
from lwmport.checkpoints.tree import TrainStateError, flatten
from lwmport.errors import CheckpointError
from lwmport.types import dtype_of
from lwmport.wording import few, kind_of, shown

PICKLE: Final = "data.pkl"

TREES: Final = ("model", "state_dict")
"""Under which key programs that train keep the tensors of the model, beside its optimiser and their settings."""


def index(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every tensor of the file lies, by the name that the file gives it.

    Raises:
        TrainStateError: the tensors of a model stand beside the state of a training; `index_train_state` takes them.
        CheckpointError: the file is damaged, hostile, or holds something else than a dict of tensors.
    """
    found = _value(cursor)
    if _tree(found) is not None:
        raise TrainStateError(f"expected tensors alone, found the state of a training: {few(map(shown, _keys(found)))}")
    return flatten(found, _leaf)


def index_train_state(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every tensor of the model lies in the state of a training; what is beside them is stepped over.

    Raises:
        CheckpointError: the file is damaged, hostile, or holds no such state.
    """
    found = _value(cursor)
    tree = _tree(found)
    if tree is None:
        raise CheckpointError(f"expected a model under {' or '.join(TREES)}, found {few(map(shown, _keys(found)))}")
    return flatten(tree, _leaf)


def _value(cursor: Cursor) -> object:
    """Return what the file holds: dicts, tensors that are described, and what stands beside them."""
    if legacy.is_legacy(cursor):
        return legacy.value(cursor)
    found = members(cursor)
    folder = _folder(found)
    big_endian = _big_endian(found.get(f"{folder}byteorder"), cursor)
    storages = Storages(lambda *asked: _located(found, folder, *asked), big_endian=big_endian)
    pickle = found[folder + PICKLE]
    return run(cursor.window(pickle.offset, pickle.length), storages.names)


def _tree(found: object) -> object:
    """Return what stands under the first of `TREES` if it is a dict with a tensor in it; None if there is none."""
    trees = (found.get(key) for key in TREES) if isinstance(found, dict) else ()
    return next((one for one in trees if isinstance(one, dict) and _has_tensor(one)), None)


def _has_tensor(tree: dict[str, object]) -> bool:
    return any(isinstance(value, Array) for value in tree.values())


def _keys(found: object) -> list[str]:
    return list(found) if isinstance(found, dict) else [kind_of(found)]


def _located(found: dict[str, Member], folder: str, key: str, dtype: str, count: int) -> int:
    """Return where a storage begins: it is a file of the archive, of just its size."""
    member = found.get(f"{folder}data/{key}")
    if member is None:
        raise CheckpointError(f"damaged: the pickle refers to data/{shown(key)}, which the archive has not")
    if count * dtype_of(dtype).itemsize != member.length:
        raise CheckpointError(
            f"damaged: expected {count} values of {dtype} in data/{shown(key)}, found {member.length} bytes",
        )
    return member.offset


def _folder(found: dict[str, Member]) -> str:
    folders = [name.removesuffix(PICKLE) for name in found if name == PICKLE or name.endswith(f"/{PICKLE}")]
    if len(folders) != 1:
        arrays = any(name.endswith(".npy") for name in found)
        other = "; it looks like an .npz of numpy, which is not read: save its arrays as safetensors" if arrays else ""
        raise CheckpointError(f"expected one {PICKLE} in the archive of torch.save, found {len(folders)}{other}")
    return folders[0]


def _big_endian(member: Member | None, cursor: Cursor) -> bool:
    """Return the byte order; archives from before it was written are of little-endian machines."""
    if member is None:
        return False
    order = cursor.window(member.offset, member.length).take(min(member.length, 8))
    if order not in {b"little", b"big"}:
        raise CheckpointError(f"damaged: expected the byte order little or big, found {order!r}")
    return order == b"big"


def _leaf(value: object) -> TensorEntry | None:
    if isinstance(value, dict):
        return None
    if not isinstance(value, Array) or value.entry is None:
        raise CheckpointError(f"expected a tensor or a dict, found {kind_of(value)}")
    return value.entry
