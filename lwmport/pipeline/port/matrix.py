"""Many ports at once, each in a process of its own, within a budget of memory; one page at the end."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lwmport.errors import UsageError
from lwmport.memory import free_bytes
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.port.engines import ENGINES, HERE, Ended, Engine, Running
from lwmport.pipeline.port.job_checks import check_ready
from lwmport.pipeline.port.jobs import Jobs, PortJob
from lwmport.pipeline.port.row_facts import asked as asked_of
from lwmport.pipeline.port.row_facts import left
from lwmport.pipeline.port.run import STAGES, PortOutcome, choices_of, title_of
from lwmport.processors import processors
from lwmport.registry import meant
from lwmport.reports.port_index import check_pages, write_index
from lwmport.reports.ports import PortReport, PortRow, StageFact, read_index
from lwmport.reports.trends import trends
from lwmport.types import Status
from lwmport.verdicts import EXIT_CODES

PAUSE: Final = 0.05
"""Seconds between two looks at running processes."""

FALLBACK: Final = 4 * 2**30
"""Memory for jobs where the system does not say how much there is."""


def port_all(
    asked: Jobs,
    *,
    engine: str = HERE,
    workers: int | None = None,
    memory: int | None = None,
    against: Path | None = None,
    observer: Observer | None = None,
) -> PortReport:
    """Run every job and write ``index.html``, ``index.md`` and ``index.json`` into the folder of all.

    Jobs that an earlier run finished cost a look at their files; on this machine they start no process. One that fails
    takes no other down; one that ends with an error, or needs more memory than there is for all, is not judged.

    Args:
        asked: the jobs.
        engine: a key of `ENGINES`.
        workers: processes at a time; by default what the file says, or one for each processor.
        memory: bytes for all of them; by default what the file says, or what is free now.
        against: the index.json of an earlier run, or its folder, which may be the same as now: the page then says what
            changed.
        observer: told of every job that starts or ends.

    Raises:
        UsageError: an unknown engine, or workers or memory that make no sense.
        PortError: a checkpoint or a toolchain that a job names is not there, or no index of an earlier run; no job was
            started.
        MissingExtraError: the engine is not installed.
    """
    observer = observer or Silent()
    engine = meant("engine", engine, ENGINES)
    chosen: Engine = ENGINES[engine]()
    places = next(count for count in (workers, asked.workers, processors()) if count is not None)
    free = (free_bytes() or FALLBACK) * 9 // 10
    budget = next(count for count in (memory, asked.memory, free) if count is not None)
    if places < 1 or budget < 1:
        raise UsageError(f"expected workers and memory of at least 1, found {places} and {budget}")
    earlier = None if against is None else read_index(against)
    check_ready(asked, here=engine == HERE)
    check_pages(asked.out)
    rows = _run(asked.jobs, chosen, places, budget, observer)
    report = PortReport(jobs=tuple(rows[job.name] for job in asked.jobs), workers=places, memory=budget)
    if earlier is not None:
        report = replace(report, trends=trends(earlier, report, str(against)))
    write_index(report, asked.out)
    return report


def _run(jobs: tuple[PortJob, ...], engine: Engine, places: int, budget: int, observer: Observer) -> dict[str, PortRow]:
    """Return the row of every job: the largest first, others beside it as long as they fit."""
    rows = {job.name: _done_row(job, found) for job in jobs if (found := engine.done(job))}
    if rows:
        observer.phase(f"{len(rows)} of {len(jobs)} done before")
    rows |= {job.name: _too_large(job, budget) for job in jobs if job.bytes > budget and job.name not in rows}
    waiting = sorted((job for job in jobs if job.name not in rows), key=lambda job: -job.bytes)
    again: set[str] = set()
    with _running() as running:
        while waiting or running:
            for job in list(waiting):
                free = budget - sum(held.bytes for held, _, _ in running.values())
                if len(running) < places and job.bytes <= free:
                    waiting.remove(job)
                    observer.phase(f"{job.name}: start")
                    running[job.name] = (job, engine.start(job), time.perf_counter())
            for name, (job, process, begun) in list(running.items()):
                ended = process.result()
                if ended is None:
                    continue
                del running[name]
                if ended.signal and name not in again:
                    again.add(name)
                    waiting.append(job)
                    observer.phase(f"{name}: ended by {ended.signal}, once more")
                else:
                    rows[name] = _row(job, ended, time.perf_counter() - begun)
                    observer.phase(f"{name}: {rows[name].status} ({len(rows)} of {len(jobs)} done)")
            time.sleep(PAUSE)
    return rows


@contextmanager
def _running() -> Iterator[dict[str, tuple[PortJob, Running, float]]]:
    """Yield the processes under way; whatever ends the block ends them too."""
    found: dict[str, tuple[PortJob, Running, float]] = {}
    try:
        yield found
    finally:
        for _, process, _ in found.values():
            process.stop()


def _row(job: PortJob, ended: Ended, seconds: float) -> PortRow:
    try:
        found = json.loads(ended.output)
    except ValueError:
        found = {}
    if ended.code in EXIT_CODES.values() and "stages" in found:
        stages = tuple(
            StageFact(name=stage["name"], status=Status(stage["status"]), reason=stage["reason"])
            for stage in found["stages"]
        )
        status, sentence, peak = Status(found["status"]), found["sentence"], found["peak_bytes"]
        seconds = sum(stage["seconds"] for stage in found["stages"])  # as of a job that was done before
    else:
        sentence = (not ended.signal and found.get("error")) or _last_line(ended)
        stages, status, peak = _none(sentence), Status.NOT_JUDGED, None
    return _new_row(
        job,
        status=status,
        sentence=sentence,
        stages=stages,
        seconds=round(seconds, 1),
        peak_bytes=peak,
        links=_links(job),
        **(left(job.request) if peak is not None else {}),
    )


def _done_row(job: PortJob, found: PortOutcome) -> PortRow:
    """Return the row of a job that was done before, with the seconds and the memory that it took then."""
    return _new_row(
        job,
        status=found.status,
        sentence=found.sentence,
        stages=tuple(StageFact(name=stage.name, status=stage.status, reason=stage.reason) for stage in found.stages),
        seconds=round(sum(stage.seconds for stage in found.stages), 1),
        peak_bytes=found.peak_bytes,
        links=_links(job),
        **left(job.request),
    )


def _too_large(job: PortJob, budget: int) -> PortRow:
    sentence = f"needs about {job.bytes / 1e9:.1f} GB of memory, more than the {budget / 1e9:.1f} GB for all jobs"
    return _new_row(
        job, status=Status.NOT_JUDGED, sentence=sentence, stages=_none(sentence), seconds=0.0, peak_bytes=None
    )


def _new_row(job: PortJob, **found: Any) -> PortRow:
    """Return the row of a job: what it was asked for, and what came of it."""
    request = job.request
    return PortRow(
        name=job.name,
        title=title_of(request),
        target=request.target,
        estimate_bytes=job.bytes,
        choices=choices_of(request),
        **asked_of(request),
        **found,
    )


def _none(reason: str) -> tuple[StageFact, ...]:
    return tuple(StageFact(name=name, status=Status.SKIPPED, reason=reason) for name in STAGES)


def _last_line(ended: Ended) -> str:
    if ended.signal:
        hint = "; was there too little memory?" if ended.signal == "SIGKILL" else ""
        return f"ended by {ended.signal}, twice{hint}"
    lines = ended.log.strip().splitlines()
    return lines[-1] if lines else f"ended with exit code {ended.code} and said nothing"


def _links(job: PortJob) -> Mapping[str, str]:
    """Return what there is to open of a job, as paths below the folder of all."""
    request = job.request
    places = {"report": request.models / "report.html", "preflight": request.out / "preflight.json",
              "bundle": request.bundle}  # fmt: skip
    return {name: path.relative_to(request.out.parent).as_posix() for name, path in places.items() if path.exists()}
