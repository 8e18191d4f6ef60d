"""What a conversion will cost, told before it begins: bytes to read and to write, memory and time.

Memory means anonymous memory, the process's own: files are mapped, and their pages are the kernel's to drop.

The prediction is what the process has when the plan is made (interpreter, JAX, the parsed index of the checkpoint), and
`TRACING` for each component and each layer of it, and what is in flight: `IN_FLIGHT` blocks of the output, a few
pieces on their way, and whatever a format must have whole.
"""

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport import blocks, memory
from lwmport.blocks import BlockFile
from lwmport.checkpoints.streaming import PIECE
from lwmport.errors import PortError, UsageError
from lwmport.models.families import Family
from lwmport.reports import numbers
from lwmport.types import Component, Weights, WeightSpec

IN_FLIGHT: Final = (blocks.IN_FLIGHT + 1) * blocks.BLOCK + 8 * PIECE
"""Bytes between the checkpoint and the disk: blocks of the file, and pieces that are read and cast."""

STREAMED: Final[Mapping[str, float]] = {"onnx": 0.0, "hf": 1.0}
"""Format -> how many of the largest tensor are in memory at once while it is written; others are not predicted."""

TRACING: Final = 60_000_000
"""Bytes that tracing a component and its graph take."""

LAYER: Final = 1_000_000
"""Bytes of program and graph for each layer of a language model."""

RATE: Final = 5e8
"""Bytes a second that two processors read, cast, hash and write."""

START: Final = 8.0
"""Seconds to trace a component and to build its graph."""

PROBE: Final = 1 << 26
"""Bytes written to learn how fast a disk is."""

PROBE_FROM: Final = 1 << 30
"""Bytes to write from which that is worth the time."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a conversion is going to cost.

    Attributes:
        read_bytes: of the checkpoint: what is converted, and all of it for its digest.
        write_bytes: of weights in the artifacts.
        done_bytes: of those, what an interrupted run has left.
        free_bytes: of the disk.
        peak_bytes: of anonymous memory; None where it is not predicted.
        seconds: of the conversion without its validation; None where it is not predicted.
    """

    read_bytes: int
    write_bytes: int
    done_bytes: int
    free_bytes: int
    peak_bytes: int | None
    seconds: float | None

    @property
    def sentence(self) -> str:
        """The plan in one line."""
        read, write, free = (numbers.size(count) for count in (self.read_bytes, self.write_bytes, self.free_bytes))
        memory_needed = [] if self.peak_bytes is None else [f"about {numbers.size(self.peak_bytes)} of memory"]
        time_needed = [] if self.seconds is None else [f"about {numbers.seconds(self.seconds)}"]
        return ", ".join([f"read {read}", f"write {write} ({free} free)", *memory_needed, *time_needed])


def plan_for(family: Family, weights: Weights, form: str, out: Path, done_bytes: int) -> Plan:
    """Return the plan of a conversion into a folder.

    Raises:
        PortError: the disk has no room for it.
    """
    written = sum(spec.nbytes for component in family.components for spec in component.weights.values())
    read = sum(stored_bytes(family, weights, name) for part in family.components for name in part.weights)
    digested = int(weights.source.get("bytes", 0))
    there = _existing(out)
    free = shutil.disk_usage(there).free
    if free < written - done_bytes:
        raise PortError(
            f"expected {written - done_bytes:,} bytes free for {out}, found {free:,} on its disk; free some or choose "
            f"another folder with --out"
        )
    return Plan(
        read_bytes=read + digested if digested else 0,
        write_bytes=written,
        done_bytes=done_bytes,
        free_bytes=free,
        peak_bytes=_peak(family, form),
        seconds=_seconds(family, written, there) if form in STREAMED else None,
    )


def check_validation(family: Family) -> None:
    """Return if this machine can hold the weights of each component in float32, as the reference does.

    Raises:
        UsageError: it cannot.
    """
    total = memory.total_bytes()
    for component in family.references:
        needed = sum(spec.nbytes for spec in component.weights.values())
        if total is not None and needed > total:
            raise UsageError(
                f"expected at most {total:,} bytes of weights to run {component.name} beside JAX, found {needed:,} in "
                f"float32; add --no-validate, and validate a llama-block or a smaller model"
            )


def stored_bytes(family: Family, weights: Weights, name: str) -> int:
    """Return how many bytes of a checkpoint are read for one weight of a component."""
    source = family.sources.get(name)
    if source is None or source[0] not in weights.specs:
        return weights.specs[name].nbytes
    whole: WeightSpec = weights.specs[source[0]]
    return whole.nbytes // whole.shape[source[1]]


def _peak(family: Family, form: str) -> int | None:
    now = memory.anonymous_bytes()
    if now is None or form not in STREAMED:
        return None
    largest = max((spec.nbytes for part in family.components for spec in part.weights.values()), default=0)
    tracing = max(map(_tracing, family.components))
    return int(now + tracing + IN_FLIGHT + STREAMED[form] * largest)


def _tracing(component: Component) -> int:
    return TRACING + LAYER * int(component.config.get("num_hidden_layers", 0))


def _seconds(family: Family, count: int, folder: Path) -> float:
    disk = _disk_rate(folder) if count >= PROBE_FROM else RATE
    return START * len(family.components) + count / min(RATE, disk)


def _disk_rate(folder: Path) -> float:
    """Return how many bytes a second the disk takes, from a short trial."""
    piece = bytes(PIECE)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".lwmport-probe-") as scratch:
        start = time.perf_counter()
        with BlockFile(Path(scratch) / "probe") as file:
            for _ in range(PROBE // PIECE):
                file.write(piece)
        return PROBE / (time.perf_counter() - start)


def _existing(path: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return there
