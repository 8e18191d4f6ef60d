"""A race between the ways in which a machine may run a model, as a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.types import Status

FORMAT: Final = "lwmport-race/1"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times the seconds of the usual way another needs: the median over rounds, and the extremes."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What a way gave, beside the reference on the same inputs.

    Attributes:
        verdict: whether it keeps the bound of the race.
        reason: why, in words.
        sqnr_db: the least signal-to-noise ratio of all outputs of numbers, decibels, infinite when equal; None without.
        psnr_db: the least peak signal-to-noise ratio of all pictures; None without.
        equal: the least share of integers that are equal; None without.
    """

    verdict: Status
    reason: str
    sqnr_db: float | None = None
    psnr_db: float | None = None
    equal: float | None = None


@dataclass(frozen=True, kw_only=True)
class RaceRow:
    """One way.

    Attributes:
        way: in words: the runtime, what it computes in, its threads.
        engine: the runtime, as ``--soc`` and ``--runner`` name it.
        precision: what it computes in.
        threads: how many it has.
        artifact: the model file that it runs, as seen from the folder of the one that was named.
        reason: why it was not raced; empty if it was.
        opens_s: seconds to open the model.
        seconds: of a run, the median of the rounds.
        rounds: seconds of a run in each round, in order.
        ratio: to the usual way, round by round.
        accuracy: what it gave beside the reference.
        peak_bytes: the most memory that its process had.
    """

    way: str
    engine: str
    precision: str
    threads: int
    artifact: str
    reason: str = ""
    opens_s: float | None = None
    seconds: float | None = None
    rounds: tuple[float, ...] = ()
    ratio: Ratio | None = None
    accuracy: Accuracy | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Race:
    """All ways, and what was made of them.

    Attributes:
        component: what was raced.
        artifact: the model file that was named.
        facts: machine, versions and model, by name.
        reference: what the outputs are held against.
        inputs: what is run.
        bound: what a way must keep to win.
        rows: the usual way first.
        usual: the way of the first row that was raced.
        winner: the way that was chosen; empty if none keeps the bound.
        record: the file that says how to run the winner, in the folder of this one; empty if none was written.
        verified: what came of opening the winner again by that record; empty if it was not.
        sentence: the answer in words.
    """

    component: str
    artifact: str
    facts: Mapping[str, str]
    reference: str
    inputs: str
    bound: str
    rows: tuple[RaceRow, ...]
    usual: str
    winner: str
    record: str = ""
    verified: str = ""
    sentence: str = ""
