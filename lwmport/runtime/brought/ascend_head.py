"""The message in front of a dump of an Ascend device: dtype, order of axes and sizes of each input and output.

Source: hicann/ge, graph_metadef/proto/dump_task.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.wire import BYTES, VARINT, Message

DTYPES: Final = {
    1: "float32",
    2: "float16",
    3: "int8",
    4: "uint8",
    5: "int16",
    6: "uint16",
    7: "int32",
    8: "int64",
    9: "uint32",
    10: "uint64",
    11: "bool",
    12: "float64",
    27: "bfloat16",
    34: "float8_e5m2",
    35: "float8_e4m3fn",
}
"""OutputDataType -> name here. Strings, packed and HiFloat types have none."""

FORMATS: Final = {
    0: "NCHW",
    1: "NHWC",
    2: "ND",
    3: "NC1HWC0",
    4: "FRACTAL_Z",
    12: "NC1HWC0_C04",
    16: "HWCN",
    27: "NDHWC",
    29: "FRACTAL_NZ",
    30: "NCDHW",
    32: "NDC1HWC0",
    33: "FRACTAL_Z_3D",
    35: "NC",
    40: "RESERVED",
    42: "NULL",
    47: "NCL",
}
"""OutputFormat -> name; of the others the number is told."""


@dataclass(kw_only=True)
class Head:
    """What is told of one tensor.

    Attributes:
        dtype: OutputDataType.
        format: OutputFormat: the device's order of axes.
        size: bytes of its values, which may be more than the sizes need.
        shape: sizes in the device's order.
        original: sizes in the model, empty where they are not told.
        origin: the node of the model whose output it is, empty where none is told.
        origin_index: which output of that node.
        origin_format: the model's order of axes, None where it is not told.
    """

    dtype: int = 0
    format: int = 0
    size: int = 0
    shape: list[int] = field(default_factory=list)
    original: list[int] = field(default_factory=list)
    origin: str = ""
    origin_index: int = 0
    origin_format: int | None = None

    @property
    def layout(self) -> str:
        """The name of the device's order of axes."""
        return FORMATS.get(self.format, f"format {self.format}")


@dataclass(kw_only=True)
class Heads:
    """The operator's name in the device's model, and its tensors in the order of their values."""

    operator: str = ""
    inputs: list[Head] = field(default_factory=list)
    outputs: list[Head] = field(default_factory=list)


def heads_in(message: Message) -> Heads:
    """Return what a DumpData says.

    Raises:
        ArtifactError: it is none.
    """
    found = Heads()
    for one in message:
        if one.kind == BYTES and one.number == 3:
            found.outputs.append(_head(message.inner(one), size=6, original=7))
        elif one.kind == BYTES and one.number == 4:
            found.inputs.append(_head(message.inner(one), size=5, original=6))
        elif one.kind == BYTES and one.number == 6:
            found.operator = message.text(one)
    return found


def _head(message: Message, size: int, original: int) -> Head:
    """Return an OpOutput or an OpInput: the bytes and the model's sizes have other numbers in each."""
    found = Head()
    for one in message:
        if one.kind == VARINT and one.number == 1:
            found.dtype = one.value
        elif one.kind == VARINT and one.number == 2:
            found.format = one.value
        elif one.kind == VARINT and one.number == size:
            found.size = one.value
        elif one.kind == BYTES and one.number == 3:
            found.shape = list(_sizes(message.inner(one)))
        elif one.kind == BYTES and one.number == original:
            found.original = list(_sizes(message.inner(one)))
        elif one.kind == BYTES and one.number == 4 and size == 6:
            _take_origin(message.inner(one), found)
    return found


def _take_origin(message: Message, found: Head) -> None:
    found.origin_format = 0
    for one in message:
        if one.kind == BYTES and one.number == 1:
            found.origin = message.text(one)
        elif one.kind == VARINT and one.number == 2:
            found.origin_index = one.value
        elif one.kind == VARINT and one.number == 4:
            found.origin_format = one.value


def _sizes(message: Message) -> Iterator[int]:
    """Yield the sizes of a Shape: one number a field, or all in one field of bytes, as proto3 packs them."""
    for one in message:
        if one.number == 1 and one.kind == VARINT:
            yield one.value
        elif one.number == 1 and one.kind == BYTES:
            yield from _packed(message.bytes(one))


def _packed(content: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:
            raise ArtifactError("expected sizes of a tensor, found a number that does not end")
        if byte < 0x80:
            yield value
            value = shift = 0
