"""A dump file of an Ascend device: the size of a message in eight bytes, the message, and all values behind it.

The values of the inputs, then those of the outputs, lie in the order of the message. The device has its own
order of axes (NC1HWC0, FRACTAL_NZ); where the message also tells the model's sizes, values come back in those.
Source: Ascend/msprobe, msaccucmp, big_dump_data.py; `lwmport.runtime.brought.ascend_head`.
"""

import math
from dataclasses import dataclass
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.ascend_head import DTYPES, Head, Heads, heads_in
from lwmport.runtime.brought.layouts import BLOCKED, MODEL, fitted
from lwmport.runtime.brought.listing import File, front_of
from lwmport.runtime.brought.stored import Stored, in_bytes
from lwmport.types import Array, dtype_of
from lwmport.wire import Message

LARGEST_HEAD: Final = 16 << 20
MOST_RANK: Final = 32
TURNED: Final = frozenset({*MODEL, *BLOCKED, "NHWC"})
"""Layouts that can be brought into the model's; those of weights and of video are not."""


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """One tensor of a dump file.

    Attributes:
        role: ``input`` or ``output``.
        index: which.
        origin: the node of the model whose output it is, and which output, where the file tells.
        layout: the device's order of axes; empty where ``stored`` has the model's.
        stored: the values.
    """

    role: str
    index: int
    origin: tuple[str, int] | None
    layout: str
    stored: Stored


@dataclass(frozen=True, kw_only=True)
class Dump:
    """What a dump file holds; ``aside`` says which tensors have no values that can be read, and why."""

    operator: str
    tensors: tuple[Dumped, ...]
    aside: tuple[str, ...] = ()


def read_dump(file: File) -> Dump:
    """Return the tensors of a dump file; their values are read when they are asked for.

    Raises:
        ArtifactError: it is no such file, or cut.
    """
    heads, start = _heads(file)
    tensors, aside = [], []
    for role, told in (("input", heads.inputs), ("output", heads.outputs)):
        for index, head in enumerate(told):
            found = _tensor(file, head, (role, index), start)
            start += head.size
            if isinstance(found, str):
                aside.append(found)
            else:
                tensors.append(found)
    if start > file.bytes:
        raise ArtifactError(f"{file.told}: expected {start:,} bytes, found {file.bytes:,}; copy it again")
    return Dump(operator=heads.operator, tensors=tuple(tensors), aside=tuple(aside))


def _heads(file: File) -> tuple[Heads, int]:
    """Return what the message says, and where the values begin."""
    size = int.from_bytes(front_of(file, 8), "little")
    if file.bytes < 8 or not 0 < size <= min(file.bytes - 8, LARGEST_HEAD):
        raise ArtifactError(
            f"{file.told}: expected a dump of an Ascend device, found no whole header in {file.bytes:,} bytes; copy it "
            "again, or if its CANN is old convert it by msaccucmp.py convert -v 1"
        )
    content = front_of(file, 8 + size)
    try:
        return heads_in(Message(content, 8, len(content))), 8 + size
    except ArtifactError as error:
        raise ArtifactError(f"{file.told}: {error}") from error


def _tensor(file: File, head: Head, part: tuple[str, int], start: int) -> Dumped | str:
    role, index = part
    where = f"{role} {index} of {file.told}"
    if head.dtype not in DTYPES:
        return f"{where} has values of DataType {head.dtype}, which no array holds"
    if not head.size:
        return f"{where} has no values"
    if len(head.shape) > MOST_RANK or len(head.original) > MOST_RANK:
        raise ArtifactError(f"{where}: expected at most {MOST_RANK} sizes, found {len(head.shape)}")
    dtype = DTYPES[head.dtype]
    if head.size < math.prod(head.shape) * dtype_of(dtype).itemsize:
        raise ArtifactError(f"{where}: expected {dtype}{head.shape}, found {head.size:,} bytes")
    stored, layout = in_bytes(file, dtype, tuple(head.shape), start), head.layout
    if head.original and head.original != head.shape and layout in TURNED:
        stored, layout = _turned(stored, head, where), ""
    origin = (head.origin, head.origin_index) if head.origin else None
    return Dumped(role=role, index=index, origin=origin, layout=layout, stored=stored)


def _turned(stored: Stored, head: Head, where: str) -> Stored:
    """Return the values in the model's sizes and order."""
    shape = tuple(head.original)
    origin = {0: "NCHW", 1: "NHWC"}.get(-1 if head.origin_format is None else head.origin_format, "")

    def load() -> Array:
        try:
            return fitted(stored.load(), shape, head.layout, origin)
        except ArtifactError as error:
            raise ArtifactError(f"{where}: {error}") from error

    return Stored(shape=shape, dtype=stored.dtype, load=load)
