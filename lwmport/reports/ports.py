"""The page of many ports: one row each, with a link to its report and its bundle; and back from its JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lwmport import owned, plain
from lwmport.choices import Choice
from lwmport.errors import ArtifactError
from lwmport.reports.trend_record import Trends
from lwmport.small_files import read_small
from lwmport.types import ADDED, Status
from lwmport.verdicts import ORDER, combined

FORMAT: Final = "lwmport-index/1"
RECORD: Final = "index.json"
DERIVED: Final = ("format", "status", "sentence", "files")
"""What index.json says besides the record."""

LIMIT: Final = 64 << 20
"""Bytes that an index may have."""

listed: Final = owned.listed(Path(RECORD), FORMAT)
"""The pages that an earlier run has left in a folder (`lwmport.owned.Reader`)."""


@dataclass(frozen=True, kw_only=True)
class StageFact:
    """How one stage of a port ended."""

    name: str
    status: Status
    reason: str


@dataclass(frozen=True, kw_only=True)
class OutputFact:
    """The worst output of one case of a component.

    Attributes:
        component: the component.
        name: the case, if it has a name, and the output.
        status: its verdict.
        error: the largest absolute difference; of integers, how many differ.
        used: that, as a part of what is allowed.
    """

    component: str
    name: str
    status: Status
    error: float
    used: float


@dataclass(frozen=True, kw_only=True)
class PortRow:
    """One port. ``links`` are paths below the page's folder; memory is in bytes, None where no process told it.

    ``files`` are bytes of the models, of what was compiled, and of the bundle; ``outputs`` how far the models are from
    the reference. ``soc`` is the chip, empty for a target that has one kind alone.
    """

    name: str
    title: str
    target: str
    status: Status
    sentence: str
    stages: tuple[StageFact, ...]
    seconds: float
    peak_bytes: int | None
    estimate_bytes: int
    links: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    component: str = field(default="", metadata=ADDED)
    format: str = field(default="", metadata=ADDED)
    dialect: str = field(default="", metadata=ADDED)
    precision: str = field(default="", metadata=ADDED)
    soc: str = field(default="", metadata=ADDED)
    files: Mapping[str, int] = field(default_factory=dict, metadata=ADDED)
    outputs: tuple[OutputFact, ...] = field(default=(), metadata=ADDED)

    @property
    def worst(self) -> OutputFact | None:
        """The output that used most of its tolerance; None where nothing was compared."""
        return max(self.outputs, key=lambda one: (one.status is Status.FAILED, one.used), default=None)


@dataclass(frozen=True, kw_only=True)
class PortReport:
    """Every port of a matrix, and within what they ran; ``trends`` are None where no earlier run was named."""

    jobs: tuple[PortRow, ...]
    workers: int
    memory: int
    trends: Trends | None = field(default=None, metadata=ADDED)

    @property
    def status(self) -> Status:
        """Failed if one failed, not judged if one was not judged, else passed."""
        return combined(job.status for job in self.jobs)

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        counts = {status: sum(job.status is status for job in self.jobs) for status in ORDER}
        words = [f"{count} {status}" for status, count in counts.items() if count and status is not Status.PASSED]
        skipped = sum(stage.status is Status.SKIPPED for job in self.jobs for stage in job.stages)
        words += [f"{skipped} stages skipped, each with its reason"] if skipped else []
        return f"{'; '.join([f'{counts[Status.PASSED]} of {len(self.jobs)} ports passed', *words])}."

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages, in order."""
        return tuple(stage.name for stage in self.jobs[0].stages) if self.jobs else ()


def read_index(path: Path) -> PortReport:
    """Return the ports that an index.json tells of, or that of a folder.

    Raises:
        ArtifactError: there is none, or it is damaged.
    """
    file = path / RECORD if path.is_dir() else path
    try:
        value = plain.parsed(read_small(file, LIMIT))
    except OSError as error:
        raise ArtifactError(
            f"expected the {RECORD} of an earlier run of 'lwmport port' at {file}, found: {error.strerror}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{file}: expected an index as JSON, found damage: {error}") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ArtifactError(f"{file}: expected the format {FORMAT}, found another file")
    told = {name: item for name, item in value.items() if name not in DERIVED}
    return plain.decode(PortReport, told, RECORD)
