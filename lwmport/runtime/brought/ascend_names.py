"""Names of files in a dump of an Ascend device, taken apart.

``OpType.OpName.TASK[.STREAM].TIME`` is the device's own. What CANN's msaccucmp.py makes of it ends on ``.input.N`` or
``.output.N``, then nothing, or the format (``-t msnpy``), or sizes joined by ``x`` (``-f``), and ``.npy``. With ``-t
bin`` it ends on ``.COUNT.DTYPE.FORMAT.bin``. ``/`` and ``.`` of the operator's name are ``_``. A name that is too long
for a file is a number, and ``mapping.csv`` beside it has ``NUMBER,NAME``.
Source: Ascend/msprobe, msaccucmp: reg_manager.py, dump_data_parser.py, shape_format_conversion.py, file_utils.py.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lwmport.runtime.brought.listing import File, Listing, text_of

MAPPING: Final = "mapping.csv"
OTHER: Final = re.compile(r"[^A-Za-z0-9_-]")
"""What is written as ``_`` in an operator's name."""

_OPERATOR = r"(?P<type>[A-Za-z0-9_-]+)\.(?P<operator>[A-Za-z0-9_-]+)\.\d+(?:\.\d+)?\.\d{10,20}"
_SIZE = r"\d{1,12}"
_PART = r"\.(?P<role>input|output)\.(?P<index>\d{1,4})"
RAW: Final = re.compile(_OPERATOR)
SLICE: Final = re.compile(rf"{_OPERATOR}(?:\.\d+)+(?:{_PART}.*)?|.*_lxslice\d+\..*")
"""A part of a tensor: FFTS+ runs an operator in threads, each with its own file."""
PART: Final = re.compile(
    rf"{_OPERATOR}{_PART}(?:\.(?P<format>[A-Za-z][A-Za-z0-9_]*))?(?:\.(?P<sizes>{_SIZE}(?:x{_SIZE})*))?\.npy"
)
BIN: Final = re.compile(
    rf"{_OPERATOR}{_PART}\.(?P<sizes>{_SIZE}(?:_{_SIZE})*)\.(?P<dtype>[a-z][a-z0-9_]*)\.(?P<format>[A-Za-z0-9_]+)\.bin"
)
GOLDEN: Final = re.compile(r"(?P<operator>[.A-Za-z0-9_-]+)\.(?P<index>\d{1,4})\.\d{10,20}\.npy")
"""What msit and msprobe save of the ONNX model on the CPU: the reference that they compare with."""
DEBUG: Final = "Opdebug."
"""The device's record of overflows."""
NET: Final = re.compile(r"output_(?P<index>\d{1,4})\.(?:npy|bin)")
"""An output of the whole model, by its position."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A tensor in a file of its own. ``format`` and ``dtype`` are empty, ``count`` of values 0, where no name tells."""

    operator: str
    role: str
    index: int
    format: str = ""
    dtype: str = ""
    count: int = 0


def part_of(name: str) -> Part | None:
    """Return the tensor that a file of msaccucmp.py holds, None where it is no such file."""
    found = PART.fullmatch(name) or BIN.fullmatch(name)
    if found is None:
        return None
    told = found.groupdict()
    # sizes without a format: it was converted to the one that the model has
    return Part(
        operator=told["operator"],
        role=told["role"],
        index=int(told["index"]),
        format=told["format"] or "",
        dtype=told.get("dtype") or "",
        count=math.prod(int(size) for size in re.split("[x_]", told["sizes"])) if told["sizes"] else 0,
    )


@dataclass(kw_only=True)
class Kinds:
    """The files of a folder by what they are; with each the name that it would have if it were not too long.

    ``raw`` are the device's own, ``parts`` made of them, ``net`` outputs of the whole model, ``golden`` the reference's
    values, ``slices`` no whole tensors.
    """

    raw: list[tuple[File, str]] = field(default_factory=list)
    parts: list[tuple[File, Part]] = field(default_factory=list)
    net: list[File] = field(default_factory=list)
    golden: list[tuple[File, str]] = field(default_factory=list)
    slices: list[File] = field(default_factory=list)
    others: list[File] = field(default_factory=list)


def kinds_of(found: Listing) -> Kinds:
    """Return what the files of a folder are, by their names."""
    kinds = Kinds()
    long = _long_names(found)
    for file in found.files:
        name = long.get(file.name, file.last)
        if name.startswith(DEBUG) or SLICE.fullmatch(name):
            kinds.slices.append(file)
        elif (raw := RAW.fullmatch(name)) is not None:
            kinds.raw.append((file, raw["operator"]))
        elif (part := part_of(name)) is not None:
            kinds.parts.append((file, part))
        elif NET.fullmatch(name):
            kinds.net.append(file)
        elif (golden := GOLDEN.fullmatch(name)) is not None:
            kinds.golden.append((file, golden["operator"]))
        elif name != MAPPING:
            kinds.others.append(file)
    return kinds


def _long_names(found: Listing) -> Mapping[str, str]:
    """Return name of a file below the listed folder -> the name that was too long for it."""
    names: dict[str, str] = {}
    for file in found.files:
        if file.last == MAPPING:
            for line in text_of(file).splitlines():
                number, comma, name = line.strip().partition(",")
                if comma and "/" not in number:
                    names[f"{file.folder}/{number}" if file.folder else number] = name.strip().strip('"')
    return names
