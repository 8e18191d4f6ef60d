"""Where one tensor lies in a file and how its bytes become values; an entry that exists has been checked."""

import math
from dataclasses import dataclass
from typing import Final

from lwmport.checkpoints.layout import Layout
from lwmport.errors import CheckpointError
from lwmport.ggml_kinds import KINDS
from lwmport.types import WeightSpec, dtype_of
from lwmport.wording import shown

DTYPES: Final = frozenset(
    [
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128", "bfloat16"),
        *("float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"),
    ],
)
"""What a tensor may be made of. Objects, text, dates and records are refused: no model has them."""

MAX_RANK = 32
MAX_BYTES = 1 << 62
MAX_TENSORS = 100_000
"""More names than this in one file is an attack or damage: the largest LWM has 724 tensors."""


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """One tensor of a file: dtype (numpy's name), shape, and the byte ranges that hold it, in order.

    Attributes:
        dtype: one of `DTYPES`.
        shape: as the model sees it.
        pieces: ``(offset, length)`` in the file; more than one where flax stored an array in chunks.
        axes: if not empty, the stored C-ordered array is transposed by these to give ``shape``
            (Fortran order is all axes reversed).
        big_endian: the stored byte order.
        view: if not empty, the sizes of the stored array, where ``axes`` split or join those of ``shape``.
        codec: if not empty, the pieces are text in this encoding and its characters 0..255 are the bytes
            (a pickle of protocol 2 or less has no other way to hold them).
        file: if not empty, the file of a folder that the pieces are in.
        blocks: if not empty, the one piece holds blocks of this kind of `lwmport.ggml_kinds.KINDS`, which
            become values.

    Raises:
        CheckpointError: the parts contradict each other.
    """

    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[tuple[int, int], ...]
    axes: tuple[int, ...] = ()
    big_endian: bool = False
    view: tuple[int, ...] = ()
    codec: str = ""
    file: str = ""
    blocks: str = ""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise CheckpointError(f"expected numbers, found the dtype {shown(self.dtype)!r}")
        check_shape(self.shape)
        _ = self.layout
        found = sum(length for _, length in self.pieces)
        if not self.codec and found != self.stored_bytes:
            raise CheckpointError(
                f"expected {self.stored_bytes} bytes for {self.blocks or self.dtype} of shape {self.shape}, "
                f"found {found}"
                f" at offset {self.pieces[0][0] if self.pieces else 0}",
            )

    @property
    def spec(self) -> WeightSpec:
        """Shape and dtype."""
        return WeightSpec(shape=self.shape, dtype=self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return self.count * dtype_of(self.dtype).itemsize

    @property
    def count(self) -> int:
        """Values."""
        return math.prod(self.shape)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the pieces, unless a codec stands between."""
        return KINDS[self.blocks].stored_bytes(self.count) if self.blocks else self.nbytes

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape before ``axes`` are applied."""
        if self.view or not self.axes:
            return self.view or self.shape
        sizes = dict(zip(self.axes, self.shape, strict=False))
        return tuple(sizes.get(axis, 1) for axis in range(len(self.shape)))

    @property
    def layout(self) -> Layout | None:
        """How the stored array becomes this tensor; None if it is it already.

        Raises:
            CheckpointError: the axes are no order of the stored array's.
        """
        if not self.axes:
            return None
        return Layout(view=self.stored_shape, axes=self.axes, shape=self.shape)


def check_shape(shape: tuple[object, ...]) -> tuple[int, ...]:
    """Return ``shape`` if an array can have it.

    Raises:
        CheckpointError: too many axes, a size that is no natural number, or more bytes than an address can count.
    """
    if len(shape) > MAX_RANK:
        raise CheckpointError(f"expected at most {MAX_RANK} axes, found {len(shape)}")
    sizes = [size for size in shape if isinstance(size, int) and not isinstance(size, bool) and size >= 0]
    if len(sizes) != len(shape):
        raise CheckpointError("expected sizes of 0 or more in a shape, found a negative one or no integer")
    # An axis of size 0 must not hide a huge neighbour: numpy refuses that array too.
    if math.prod(max(size, 1) for size in sizes) >= MAX_BYTES // 16:
        raise CheckpointError(f"expected a shape that fits in memory, found {sum(s > 1 for s in sizes)} axes too large")
    return tuple(sizes)
