"""What a conversion will cost, told before it begins: bytes to read and to write, memory and time.

Memory means anonymous memory, of the process and of those that it starts: files are mapped, and their pages are the
kernel's to drop.

The prediction is what the process has when the plan is made (interpreter, JAX, the converter, the index of the
checkpoint), `LAYER` for each layer of a program, and the larger of two: `GRAPH`, which tracing and lowering take, and
what is on its way to the disk. That is the blocks of the file and a piece (`IN_FLIGHT`, or all that is written), and
the largest tensor that has more than two axes: those are turned, as a whole, `TURNED` times or, where they are made up
rather than read, `MADE` times, with `SEEDED` besides. Where weights are only renamed, matrices are turned too: those
that are made up are made as a whole.
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport import atomic, blocks, disk, memory
from lwmport.blocks import BlockFile
from lwmport.checkpoints import block_workers
from lwmport.checkpoints.streaming import PIECE
from lwmport.errors import UsageError
from lwmport.models.families import Family
from lwmport.models.schemes import CALIBRATED
from lwmport.models.storage import schemes_of, written_bytes
from lwmport.pipeline.calibration.text import MOST
from lwmport.pipeline.validate.test_inputs import TestInputs
from lwmport.processors import processors
from lwmport.reports import numbers
from lwmport.types import Component, Weights, WeightSpec

IN_FLIGHT: Final = blocks.IN_FLIGHT * blocks.BLOCK + PIECE
"""Bytes between the checkpoint and the disk: blocks of the file, and the piece that is read, turned or cast."""

STREAMED: Final = ("gguf", "hf", "onnx")
"""Formats whose weights are written as they are read; the others are not predicted."""

RENAMED: Final = ("gguf", "hf")
"""Formats whose weights are only renamed: nothing is traced."""

GRAPH: Final = 14_000_000
"""Bytes that tracing a component, lowering it and writing its graph take."""

LAYER: Final = 1_100_000
"""Bytes more for each layer of a program."""

TURNED: Final = 1
"""How many times a tensor that is turned is in memory."""

MADE: Final = 9
"""The same for one that is made from a seed."""

SEEDED: Final = 80_000_000
"""Bytes that the threads keep in which weights are made from a seed: 50 to 110 MB were measured."""

RATE: Final = 5e8
"""Bytes a second that two processors read, cast, hash and write."""

ROUNDED: Final = {
    "rtn": 2e8,
    "mse": 2e7,
    "hqq": 3e6,
    "gptq": 2.5e6,
    "awq": 2.5e6,
    "Q4_K": 5e7,
    "Q5_K": 5e7,
    "Q6_K": 7e7,
}
"""Method of quantisation, or kind of blocks -> values a second that two processors round by it; others as ``rtn``."""

ROUNDING: Final = 100_000_000
"""Bytes of the groups that are rounded at once, in several threads."""

IN_BLOCKS: Final = 1 << 23
"""Bytes of a piece that becomes blocks of ggml (`lazy.layouts`); each processor has one, and two more wait."""

ROUNDED_VALUE: Final = 24
"""The same of one value, for models with fewer of them."""

START: Final = 2.0
"""Seconds to trace a component and to lower it."""

LAYER_SECONDS: Final = 0.12
"""Seconds more for each layer of a program."""

JUDGE: Final = 2.0
"""Seconds to start both runtimes for a component, to feed them and to compare."""

JUDGE_LAYER: Final = 0.25
"""Seconds more for each layer of a program: XLA compiles it (8 s for 32 small layers were measured)."""

HELD: Final = {"frozen_graph": 2, "gguf": 0, "hf": 1, "onnx": 0, "saved_model": 2, "tflite": 2}
"""Format -> how many times its runtime holds the weights: TensorFlow and LiteRT keep packed copies beside them."""

PROBE: Final = 1 << 26
"""Bytes written to learn how fast a disk is."""

PROBE_FROM: Final = 1 << 30
"""Bytes to write from which that is worth the time."""


@dataclass(frozen=True, kw_only=True)
class ConversionPlan:
    """What a conversion is going to cost.

    Attributes:
        read_bytes: of the checkpoint: what is converted, and all of it for its digest.
        write_bytes: of weights in the artifacts.
        done_bytes: of those, what an interrupted run has left.
        free_bytes: of the disk.
        peak_bytes: of anonymous memory; None where it is not predicted.
        seconds: of the conversion without its validation; None where it is not predicted.
        validation_seconds: of the validation; None where there is none.
    """

    read_bytes: int
    write_bytes: int
    done_bytes: int
    free_bytes: int
    peak_bytes: int | None
    seconds: float | None
    validation_seconds: float | None = None

    @property
    def sentence(self) -> str:
        """The plan in one line."""
        read, write, free = (numbers.size(count) for count in (self.read_bytes, self.write_bytes, self.free_bytes))
        memory_needed = [] if self.peak_bytes is None else [f"about {numbers.size(self.peak_bytes)} of memory"]
        time_needed = [] if self.seconds is None else [f"about {numbers.seconds(max(1.0, self.seconds))}"]
        judged = self.validation_seconds
        more = [] if judged is None else [f"then about {numbers.seconds(max(1.0, judged))} to validate"]
        return ", ".join([f"read {read}", f"write {write} ({free} free)", *memory_needed, *time_needed, *more])


def plan_for(  # noqa: PLR0913 - what is written, from what, where, and how much of it is known
    family: Family,
    weights: Weights,
    form: str,
    out: Path,
    done_bytes: int,
    parts: tuple[Component, ...] | None = None,
    *,
    trial: bool = True,
) -> ConversionPlan:
    """Return the plan of a conversion into a folder.

    ``parts`` are the components whose weights are written, as often as they are; each of the family once by default.
    ``trial`` is whether a large conversion may write a little first, to learn how fast the disk is.

    Raises:
        PortError: the disk has no room for it, or cannot be written.
    """
    parts = family.components if parts is None else parts
    written = sum(written_bytes(part, family.options) for part in parts)
    read = sum(stored_bytes(family, weights, part.located.get(name, name)) for part in parts for name in part.weights)
    digested = int(weights.source.get("bytes", 0))
    free = disk.check_room(out, written - done_bytes + _kept_bytes(family))
    return ConversionPlan(
        read_bytes=read + digested if digested else 0,
        write_bytes=written,
        done_bytes=done_bytes,
        free_bytes=free,
        peak_bytes=_peak(family, parts, form, made_up=not digested),
        seconds=_seconds(family, parts, form, (written, done_bytes), out if trial else None),
    )


def with_taps(plan: ConversionPlan, family: Family) -> ConversionPlan:
    """Return the plan of a conversion that also writes the tapped model of each component.

    Its program and its graph are in memory beside those of the model, and are made besides.
    """
    layers = _layers(family)
    seconds = len(family.components) * (START + LAYER_SECONDS * layers)
    return replace(
        plan,
        peak_bytes=None if plan.peak_bytes is None else plan.peak_bytes + LAYER * layers,
        seconds=None if plan.seconds is None else plan.seconds + seconds,
    )


def with_validation(plan: ConversionPlan, family: Family, weights: Weights) -> ConversionPlan:
    """Return the plan of a conversion whose artifacts are validated.

    Reference and artifact read their weights once each; where memory is scarce, the artifact does for each case.
    """
    seconds = 0.0
    for component in family.references:
        count = sum(spec.nbytes for spec in component.weights.values())
        runs = len(TestInputs(component, weights).cases) if memory.is_scarce(count) else 1
        seconds += JUDGE + JUDGE_LAYER * _layers(family) + (1 + runs) * count / RATE
    return replace(plan, validation_seconds=seconds)


def check_validation(family: Family, form: str) -> None:
    """Return if this machine can run a component of the family in a format, in order to compare it.

    The reference is no hindrance: it takes a weight at a time where memory is scarce.

    Raises:
        UsageError: the runtime of the format would hold more than there is.
    """
    total = memory.total_bytes()
    for component in family.components:
        needed = HELD[form] * sum(spec.nbytes for spec in component.weights.values())
        if total is not None and needed > total:
            raise UsageError(
                f"expected at most {total:,} bytes to run {component.name} as {form}, found {needed:,}; "
                "add --no-validate, or convert to onnx, which is run a weight at a time"
            )


def stored_bytes(family: Family, weights: Weights, name: str) -> int:
    """Return how many bytes of a checkpoint are read for one weight of a component."""
    source = family.sources.get(name)
    if source is None or source[0] not in weights.specs:
        return weights.specs[name].nbytes
    whole: WeightSpec = weights.specs[source[0]]
    return whole.nbytes // whole.shape[source[1]]


def _peak(family: Family, parts: tuple[Component, ...], form: str, *, made_up: bool) -> int | None:
    now = memory.anonymous_bytes()
    if now is None or form not in STREAMED:
        return None
    specs = [spec for part in parts for spec in part.weights.values()]
    turned = max((spec.nbytes for spec in specs if len(spec.shape) > 2), default=0)
    total = sum(spec.nbytes for spec in specs)
    matrix = max((spec.nbytes for spec in specs if len(spec.shape) == 2), default=0) if form in RENAMED else 0
    rounding = _rounding_bytes(family, parts)
    made = max(min(SEEDED, total) + rounding, matrix + (0 if _in_groups(family, parts) else rounding))
    flight = min(IN_FLIGHT, total) + (MADE * turned + made if made_up else TURNED * turned + rounding)
    return now + (flight if form in RENAMED else LAYER * _layers(family) + max(GRAPH, flight))


def _in_groups(family: Family, parts: tuple[Component, ...]) -> bool:
    """Return whether weights are rounded with scales: a few groups at a time, and no matrix is made for it."""
    return any(scheme.scales for part in parts for scheme in schemes_of(part, family.options).values())


def _rounding_bytes(family: Family, parts: tuple[Component, ...]) -> int:
    """Return the bytes of what is rounded at once, and of the largest tensor's codes, which are put into order.

    Where the model runs for it, there are also three matrices [inputs, inputs] of one weight, and what a layer makes of
    the text; where processes of their own make blocks, what they take.
    """
    rounded = [
        (part.weights[name], scheme)
        for part in parts
        for name, scheme in schemes_of(part, family.options).items()
        if scheme.scales or scheme.blocks
    ]
    values = sum(math.prod(spec.shape) for spec, _ in rounded)
    most = ROUNDING if _in_groups(family, parts) else (processors() + 2) * IN_BLOCKS
    codes = max((scheme.stored_bytes(spec) for spec, scheme in rounded if scheme.scales), default=0)
    large = any(block_workers.is_large(scheme.blocks, math.prod(spec.shape)) for spec, scheme in rounded)
    others = block_workers.count() * block_workers.NBYTES if large else 0
    met = [spec.shape for spec, scheme in rounded if scheme.method in CALIBRATED]
    run = max((12 * inputs**2 + 16 * MOST * max(inputs, outputs) for inputs, outputs in met), default=0)
    return min(most, ROUNDED_VALUE * values) + 2 * codes + run + others


def _kept_bytes(family: Family) -> int:
    """Return the bytes of roundings that take runs of the model: they are kept until the conversion is done."""
    found = {
        name: scheme.stored_bytes(part.weights[name])
        for part in family.components
        for name, scheme in schemes_of(part, family.options).items()
        if scheme.method in CALIBRATED
    }
    return sum(found.values())


def _seconds(
    family: Family, parts: tuple[Component, ...], form: str, counts: tuple[int, int], out: Path | None
) -> float | None:
    """Return how long the rest of a conversion takes; ``counts`` are the bytes to write and those that are there."""
    if form not in STREAMED:
        return None
    written, done = counts
    rate = min(RATE, _disk_rate(out)) if out is not None and written - done >= PROBE_FROM else RATE
    start = 0.0 if form in RENAMED else len(family.components) * (START + LAYER_SECONDS * _layers(family))
    rounding = _rounding_seconds(family, parts) * (written - done) / max(1, written)
    return start + rounding + (written - done) / rate


def _rounding_seconds(family: Family, parts: tuple[Component, ...]) -> float:
    return sum(
        math.prod(part.weights[name].shape) / ROUNDED.get(scheme.blocks or scheme.method, ROUNDED["rtn"])
        for part in parts
        for name, scheme in schemes_of(part, family.options).items()
        if scheme.scales or scheme.blocks
    )


def _layers(family: Family) -> int:
    """Return how many layers the largest program has."""
    fields = (family.spec.part(component.name).layers for component in family.components)
    return max(int(family.config.get(field, 1)) for field in fields)


def _disk_rate(out: Path) -> float:
    """Return how many bytes a second the disk takes that a folder is going to lie on, from a short trial."""
    piece = bytes(PIECE)
    with atomic.scratch_folder(disk.existing(out) / "probe") as scratch:
        start = time.perf_counter()
        with BlockFile(scratch / "probe") as file:
            for _ in range(PROBE // PIECE):
                file.write(piece)
        return PROBE / (time.perf_counter() - start)
