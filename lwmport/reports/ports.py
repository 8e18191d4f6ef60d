"""The page of many ports: one row each, with a link to its report and its bundle."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lwmport import atomic, owned, placing, plain
from lwmport.choices import Choice
from lwmport.reports import render
from lwmport.types import Status
from lwmport.verdicts import ORDER, combined

FORMAT: Final = "lwmport-index/1"
RECORD: Final = "index.json"
PAGES: Final = ("index.html", "index.md", RECORD)
"""What is written into the folder of all ports."""

listed: Final = owned.listed(Path(RECORD), FORMAT)
"""The pages that an earlier run has left in a folder (`lwmport.owned.Reader`)."""


@dataclass(frozen=True, kw_only=True)
class StageFact:
    """How one stage of a port ended."""

    name: str
    status: Status
    reason: str


@dataclass(frozen=True, kw_only=True)
class PortRow:
    """One port. ``links`` are paths below the page's folder; memory is in bytes, None where no process told it."""

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


@dataclass(frozen=True, kw_only=True)
class PortReport:
    """Every port of a matrix, and within what they ran."""

    jobs: tuple[PortRow, ...]
    workers: int
    memory: int

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


def check_pages(folder: Path) -> None:
    """Return if nothing of the user's has the name of a page, before any job is run.

    Raises:
        UsageError: there is such a file, or a link.
    """
    folder = atomic.real_folder(folder)
    placing.check_way(folder, PAGES, {*owned.Earlier(listed)(folder), *placing.noted(folder)})


def write_index(report: PortReport, folder: Path) -> None:
    """Write index.html, index.md and index.json into a folder."""
    value = {"format": FORMAT, "status": report.status, "sentence": report.sentence, **plain.encode(report)}
    pages = {
        "index.html": render.page("ports.html.j2", report=report).encode(),
        "index.md": render.text("ports.md.j2", report=report).encode(),
    }
    value["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in pages.items()}
    record = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic.new_folder(folder, last=RECORD, owned=owned.Earlier(listed), others=False) as scratch:
        for name, content in {**pages, RECORD: record.encode()}.items():
            (scratch / name).write_bytes(content)
