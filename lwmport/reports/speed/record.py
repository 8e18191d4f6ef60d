"""A measurement of speed as a record: rows, and all that a row depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

FORMAT: Final = "lwmport-bench/1"

MEASURED: Final = "measured"
SLOW: Final = "too slow"
MEMORY: Final = "out of memory"
FAILED: Final = "failed"


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """One batch at one pair of lengths. Times are seconds.

    Attributes:
        input: tokens of the prompt; 0 for a model without tokens.
        output: tokens that are generated; 0 for a model without tokens.
        batch: sequences or pictures at once.
        status: ``measured``; ``too slow`` (above a bound on latency or time), ``out of memory`` or ``failed``.
        reason: why it went no further; empty if it did.
        first: to the first token, the median.
        next: to each further token: ``p50``, ``p90``, ``p99``.
        run: of one forward run: the same; of a language model, of a whole generation.
        rate: tokens or items a second, of the whole batch.
        peak_bytes: the most memory that the process had until then.
    """

    input: int
    output: int
    batch: int
    status: str
    reason: str = ""
    first: float | None = None
    next: Mapping[str, float] = field(default_factory=dict)
    run: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None
    peak_bytes: int | None = None

    @property
    def latency(self) -> float | None:
        """What a bound on latency is held against: p90 of the next token, or of a run."""
        return (self.next or self.run).get("p90")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All rows, and what they depend on.

    Attributes:
        model: what was measured.
        facts: machine, threads, runner, versions and weights, by name.
        warm_up: untimed runs of the same sizes before each row.
        repeat: timed runs of each row.
        rows: in the order of measuring.
        stopped: why it ended before the last row; empty if it did not.
        sentence: the answer in words.
    """

    model: str
    facts: Mapping[str, str]
    warm_up: int
    repeat: int
    rows: tuple[BenchRow, ...]
    stopped: str
    sentence: str

    @property
    def measured(self) -> tuple[BenchRow, ...]:
        """The rows with numbers."""
        return tuple(row for row in self.rows if row.rate is not None)
