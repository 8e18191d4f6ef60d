"""What is asked of a measurement of speed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.errors import UnusedOptionError, UsageError
from lwmport.models.families import USUAL
from lwmport.pipeline.footprint.request import bytes_of
from lwmport.pipeline.names import settle
from lwmport.pipeline.speed.ramps import RAMPS
from lwmport.registry import check_known
from lwmport.requests import check_types

INPUTS: Final = (256,)
OUTPUTS: Final = (64,)
BATCHES: Final = (1,)


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """What to measure, for which lengths and batches, and when to stop.

    Attributes:
        model: a converted model or a folder of one, or a component, which is converted first.
        config: the configuration of a component.
        input_lengths: tokens of a prompt; none for 256. For language models.
        output_lengths: tokens to generate; none for 64. For language models.
        batches: sequences or pictures at once.
        ramp: whether the batch is doubled from the largest of ``batches`` on, until something says stop.
        like: the name of a known ramp, which says lengths and batches; empty for none.
        warm_up: untimed runs of the same sizes before each row.
        repeat: timed runs of each row.
        max_latency: milliseconds of the p90 of the next token, or of a run, beyond which the batch is raised no more.
        max_memory: memory that a run may take, such as ``8GiB``; None for what is free.
        max_seconds: seconds that a row may take.
        runner: what runs it; None for the usual one.
        threads: threads of the runtime; None for one a processor.
        out: the folder of the files; None for none. Rows that are there already are not measured again.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: str
    config: str = USUAL
    input_lengths: tuple[int, ...] = ()
    output_lengths: tuple[int, ...] = ()
    batches: tuple[int, ...] = BATCHES
    ramp: bool = False
    like: str = ""
    warm_up: int = 1
    repeat: int = 3
    max_latency: int | None = None
    max_memory: str | None = None
    max_seconds: int = 600
    runner: str | None = None
    threads: int | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no measurement has."""
        check_types(self)
        settle(self)
        for name in ("repeat", "max_latency", "max_seconds", "threads"):
            self._at_least_1(name, getattr(self, name))
        for name in ("input_lengths", "output_lengths", "batches"):
            for value in getattr(self, name):
                self._at_least_1(name, value)
        if self.warm_up < 0:
            raise UsageError(f"expected a whole number of at least 0 as warm_up, found {self.warm_up}")
        if not self.batches:
            raise UsageError("expected at least one batch, found none")
        bytes_of(self.max_memory)
        if self.like:
            check_known("ramp", self.like, RAMPS)
            if self.ramp or self.input_lengths or self.output_lengths or self.batches != BATCHES:
                raise UnusedOptionError(
                    f"expected no lengths, batches or --ramp beside --like {self.like}, which says them, found some",
                    "like",
                )

    def _at_least_1(self, name: str, value: int | None) -> None:
        if value is not None and value < 1:
            raise UsageError(f"expected a whole number of at least 1 as {name}, found {value}")
