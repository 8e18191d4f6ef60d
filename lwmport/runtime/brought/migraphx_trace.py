"""The lines that MIGraphX prints with MIGRAPHX_TRACE_EVAL, as a list of what each instruction computed.

::

    Run instruction: @3 = gpu::gemm[alpha=1,beta=0](@1,@2) -> float_type, {1, 10}, {10, 1} # decoder/Dense_0/MatMul
    Time: 0.1ms, 0.2ms
    Output has normal, zero
    Output: 0.5, 1, 2, 3, 4, ..., 5, 6, 7, 8, 9
    Min value: 0, Max value: 9, Mean: 4.5, StdDev: 2.9

Level 2 prints ten values at most and the statistics, level 3 prints all values and no statistics. Behind ``#`` are the
names of the ONNX nodes that an instruction comes from, with ``--debug-symbols``. The program that is printed at the end
says which instructions are the outputs. Source: ROCm/AMDMIGraphX, src/program.cpp, instruction.cpp, shape.cpp,
onnx_parser.cpp.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.listing import File

RUN: Final = b"Run instruction: "
VALUES: Final = b"Output: "
LONGEST: Final = 1 << 16
"""Bytes of a line that are looked at: a longer one holds values, which are read when they are asked for."""

SHORT: Final = 1 << 10
"""Bytes that a line of statistics has fewer than."""

MOST: Final = 5_000_000
"""Instructions of all runs in one text."""

INSTRUCTION: Final = re.compile(
    r"(?:main:)?(?P<name>\S+) = (?P<operator>[^\s(\[]+).* -> (?P<dtype>\w+?)_type, "
    r"\{(?P<sizes>(?:\d{1,12}(?:, \d{1,12})*)?)\}, \{[\d, ]*\}"
    r"(?:, target_id=\d+)?(?: # (?P<symbols>.*))?"
)
REST: Final = re.compile(r"(?:main:)?(?P<name>\S+) = (?P<operator>[^\s(\[]+)[^#]*(?: # (?P<symbols>.*))?")
"""An instruction with several results, or one without sizes."""

RETURN: Final = re.compile(r"\s*(?:main:)?\S+ = @return\((?P<results>[^()]*)\)(?: # (?P<symbols>.*))?")
OUTPUT: Final = re.compile(r"@output_(?P<index>\d{1,6}):(?P<name>.*)")
STATISTICS: Final = re.compile(
    r"Min value: (?P<min>.*?), Max value: (?P<max>.*?), Mean: (?P<mean>\S+), StdDev: (?P<std>\S+)\s*"
)
UNNAMED: Final = "migx_uid:"
"""What MIGraphX puts before the name that it made for a node without one."""

DTYPES: Final = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "bf16": "bfloat16",
    "fp8e4m3fn": "float8_e4m3fn",
    "fp8e4m3fnuz": "float8_e4m3fnuz",
    "fp8e5m2": "float8_e5m2",
    "fp8e5m2fnuz": "float8_e5m2fnuz",
}
"""MIGraphX's word for a dtype -> name here, where they differ."""


@dataclass(kw_only=True)
class Instruction:
    """One instruction of one run.

    ``symbols`` are the ONNX nodes that it comes from; ``start`` and ``end`` the bytes of its values in the file, equal
    where there are none; ``cut`` where not all were printed; ``line`` where it stands. Of what has ``several`` results,
    or stands in a module that runs many times, none is told.
    """

    name: str
    operator: str
    dtype: str
    shape: tuple[int, ...]
    symbols: tuple[str, ...]
    line: int
    start: int = 0
    end: int = 0
    cut: bool = False
    several: bool = False
    statistics: dict[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class Trace:
    """The instructions of each run in their order, and instruction -> name of the model's output that it is."""

    runs: list[list[Instruction]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)


def trace_in(file: File) -> Trace:
    """Return what a text says; of values only where they stand.

    Raises:
        ArtifactError: it cannot be read, or has more instructions than `MOST`.
    """
    found = Trace()
    current: Instruction | None = None
    seen: set[str] = set()
    count = 0
    try:
        with file.path.open("rb") as stream:
            for number, start, front, end in _lines(stream):
                if front.startswith(RUN):
                    count += 1
                    current = _instruction(front[len(RUN) :].decode("utf-8", "replace"), number)
                    _begin(found, current, seen)
                elif front.startswith(b"Output") and current is not None:
                    _take_values(current, start, front, end)
                elif front.startswith(b"Min value: ") and current is not None and len(front) < SHORT:
                    _take_statistics(current, front.decode("utf-8", "replace"))
                elif b"@return(" in front and found.runs:  # what is printed before a run is not compiled yet
                    found.outputs |= _outputs(front.decode("utf-8", "replace"))
                if count > MOST:
                    raise ArtifactError(f"{file.told}: expected at most {MOST:,} instructions, found more")
    except OSError as error:
        raise ArtifactError(f"{file.told}: expected a text, found: {error.strerror or error}") from error
    return found


def _lines(stream: BinaryIO) -> Iterator[tuple[int, int, bytes, int]]:
    """Yield number, first byte, front and last byte of each line; a long line is passed over in pieces."""
    number = at = 0
    while front := stream.readline(LONGEST):
        number += 1
        start, at = at, at + len(front)
        piece = front
        while not piece.endswith(b"\n") and (piece := stream.readline(LONGEST)):
            at += len(piece)
        yield number, start, front.rstrip(b"\r\n"), at


def _begin(found: Trace, current: Instruction | None, seen: set[str]) -> None:
    """Put an instruction into its run: one that was there already begins the next. Modules inside run many times."""
    if current is None:
        return
    current.several |= ":" in current.name
    if not found.runs or (not current.several and current.name in seen):
        found.runs.append([])
        seen.clear()
    seen.add(current.name)
    found.runs[-1].append(current)


def _instruction(text: str, line: int) -> Instruction | None:
    told = INSTRUCTION.fullmatch(text) or REST.fullmatch(text)
    if told is None:
        return None
    found = told.groupdict()
    symbols = found["symbols"]
    return Instruction(
        name=found["name"],
        operator=found["operator"],
        dtype=DTYPES.get(found.get("dtype", ""), found.get("dtype", "")),
        shape=tuple(int(size) for size in found.get("sizes", "").split(",") if size.strip()),
        symbols=tuple(symbols.split(", ")) if symbols else (),
        line=line,
        several="sizes" not in found,
    )


def _take_values(current: Instruction, start: int, front: bytes, end: int) -> None:
    if front.startswith(VALUES):
        current.several |= current.end > 0 or front.startswith(VALUES + b"{")
        current.start, current.end = start + len(VALUES), end
        current.cut = b", ..., " in front


def _take_statistics(current: Instruction, text: str) -> None:
    told = STATISTICS.fullmatch(text)
    for name, value in told.groupdict().items() if told else ():
        try:
            current.statistics[name] = float(value)
        except ValueError:
            continue  # the least and the largest of int8 are printed as characters


def _outputs(text: str) -> dict[str, str]:
    told = RETURN.fullmatch(text)
    names = {}
    for symbol in (told["symbols"] or "").split(", ") if told else ():
        if (output := OUTPUT.fullmatch(symbol)) is not None:
            names[int(output["index"])] = output["name"]
    results = [name.strip().removeprefix("main:") for name in told["results"].split(",")] if told else []
    return {result: names[index] for index, result in enumerate(results) if index in names}
