"""The tensors of a file that ``torch.save`` wrote (``pytorch_model.bin``), without PyTorch and without running it."""

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.pickle.values import Array
from lwmport.checkpoints.pickle.vm import run
from lwmport.checkpoints.torch.names import Storages
from lwmport.checkpoints.torch.zip_members import Member, members
from lwmport.checkpoints.tree import flatten
from lwmport.errors import CheckpointError
from lwmport.wording import kind_of

PICKLE = "data.pkl"
MODEL = "model"
"""Where a file that holds more than weights has them (MiniGPT-4, BLIP-2)."""
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file begins that a PyTorch before 1.6 wrote: its magic number, pickled."""


def index(cursor: Cursor) -> dict[str, TensorEntry]:
    """Return where every tensor of the archive lies, by the name that the file gives it.

    Raises:
        CheckpointError: the file is damaged, hostile, or holds something else than a dict of tensors.
    """
    if cursor.window(0, min(len(LEGACY), cursor.end)).take(min(len(LEGACY), cursor.end)) == LEGACY:
        raise CheckpointError("expected a zip archive, found a file of a PyTorch before 1.6; save it anew")
    found = members(cursor)
    folder = _folder(found)
    storages = Storages(found, folder, big_endian=_big_endian(found.get(f"{folder}byteorder"), cursor))
    pickle = found[folder + PICKLE]
    return flatten(_model(run(cursor.window(pickle.offset, pickle.length), storages.names)), _leaf)


def _model(value: object) -> object:
    """Return the weights alone where a training saved them beside its own state, under ``model``."""
    if isinstance(value, dict) and isinstance(value.get(MODEL), dict):
        return value[MODEL]
    return value


def _folder(found: dict[str, Member]) -> str:
    folders = [name.removesuffix(PICKLE) for name in found if name == PICKLE or name.endswith(f"/{PICKLE}")]
    if len(folders) != 1:
        raise CheckpointError(f"expected one {PICKLE} in the archive of torch.save, found {len(folders)}")
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
