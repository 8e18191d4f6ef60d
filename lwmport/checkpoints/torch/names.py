"""The allow-list for what ``torch.save`` writes: tensors over storages, in dicts. The same as ``weights_only=True``.

What stands beside the tensors in the file of a training is stepped over (`lwmport.checkpoints.torch.unread`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.checkpoints.entry import TensorEntry, check_shape
from lwmport.checkpoints.pickle.machine import Names
from lwmport.checkpoints.pickle.names import new_dict, no_call
from lwmport.checkpoints.pickle.values import Array, Global, Text, Unread
from lwmport.checkpoints.torch.unread import UNREAD
from lwmport.errors import CheckpointError
from lwmport.types import dtype_of
from lwmport.wording import kind_of, shown

STORAGES: Final = {
    "BFloat16Storage": "bfloat16",
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ShortStorage": "int16",
}
"""torch's name of a storage -> what it holds."""


@dataclass(frozen=True, slots=True)
class Storage:
    """``count`` numbers of the file, from ``offset`` on."""

    dtype: str
    offset: int
    count: int


class Storages:
    """The storages of one file, found by their keys.

    Args:
        locate: ``locate(key, dtype, count)`` returns where the numbers of a storage begin.
        big_endian: their byte order.
    """

    def __init__(self, locate: Callable[[str, str, int], int], *, big_endian: bool = False) -> None:
        self._locate = locate
        self.names = Names(find=self._find, set_state=_set_state, persistent=self._load)
        self._allowed: Mapping[tuple[str, str], Global] = {
            **UNREAD,
            **PLAIN,
            ("torch._utils", "_rebuild_tensor_v2"): Global("_rebuild_tensor_v2", self._tensor),
        }
        self._big_endian = big_endian

    def _find(self, module: str, name: str) -> Global:
        found = self._allowed.get((module, name))
        if found is None:
            what = shown(f"{module}.{name}")
            raise CheckpointError(f"refused: the pickle names {what}; only dicts and tensors are read, nothing was run")
        return found

    def _load(self, identity: object) -> Storage:
        match identity:
            case (
                Text(value="storage"),
                Global(dtype=str() as dtype),
                Text(value=str() as key),
                Text(),
                int() as count,
                *rest,
            ) if dtype and rest in ([], [None]) and count >= 0:
                return Storage(dtype, self._locate(key, dtype, count), count)
            case _:
                raise CheckpointError("expected a storage of numbers in the pickle, found something else")

    def _tensor(self, args: tuple[object, ...]) -> Array:
        """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``."""
        match args:
            case (Storage() as storage, int() as begin, tuple() as size, tuple() as stride, bool(), dict(), *_):
                return Array(self._entry(storage, begin, check_shape(size), stride))
            case _:
                raise CheckpointError("expected a plain tensor over a storage, found another kind")

    def _entry(self, storage: Storage, begin: int, shape: tuple[int, ...], stride: tuple[object, ...]) -> TensorEntry:
        count = math.prod(shape)
        if count > 1 and [n for n, size in zip(stride, shape, strict=False) if size > 1] != _row_by_row(shape):
            raise CheckpointError(f"expected a tensor stored row by row, found the shape {shape} in other strides")
        if not 0 <= begin <= storage.count - count:
            raise CheckpointError(f"damaged: expected {count} values from {begin} on, found {storage.count} in all")
        itemsize = dtype_of(storage.dtype).itemsize
        return TensorEntry(
            dtype=storage.dtype,
            shape=shape,
            pieces=((storage.offset + begin * itemsize, count * itemsize),),
            big_endian=self._big_endian,
        )


def _row_by_row(shape: tuple[int, ...]) -> list[int]:
    """Return the strides, in elements, of the axes that are longer than 1."""
    return [math.prod(shape[axis + 1 :]) for axis, size in enumerate(shape) if size > 1]


def _parameter(args: tuple[object, ...]) -> Array:
    """``_rebuild_parameter(tensor, requires_grad, hooks)``: the tensor."""
    match args:
        case (Array() as tensor, bool(), dict()):
            return tensor
        case _:
            raise CheckpointError("expected a parameter around a tensor, found another")


def _set_state(target: object, state: object) -> None:
    """A state dict carries ``_metadata``: versions of its modules, which change nothing."""
    if isinstance(target, Unread):
        return
    if not isinstance(target, dict) or not isinstance(state, dict) or set(state) != {"_metadata"}:
        raise CheckpointError(f"refused: the pickle sets the state of {kind_of(target)}; nothing was run")


PLAIN: Final[Mapping[tuple[str, str], Global]] = {
    ("collections", "OrderedDict"): Global("OrderedDict", new_dict),
    ("torch._utils", "_rebuild_parameter"): Global("_rebuild_parameter", _parameter),
    **{("torch", name): Global(f"torch.{name}", no_call, dtype) for name, dtype in STORAGES.items()},
}
"""What does not depend on the archive. There is no fallback: what is not here is refused."""
