"""Many ports at once, each in a process of its own, within a budget of memory; one page at the end."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import lwmport
from lwmport import extras
from lwmport.errors import UsageError, one_line
from lwmport.memory import free_bytes
from lwmport.pipeline.evidence import threads
from lwmport.pipeline.jobs import Job, Jobs
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.port import STAGES, title_of
from lwmport.registry import Registry
from lwmport.reports.ports import PortReport, PortRow, StageFact, write_index
from lwmport.types import Status

ENGINES: Final = Registry(
    "kind of engine", {"local": "lwmport.pipeline.ports:Local", "ray": "lwmport.pipeline.ports:Ray"}
)
"""Engine -> where processes run: on this machine, or on a Ray cluster that sees the same folders."""

PAUSE: Final = 0.05
"""Seconds between two looks at running processes."""

FALLBACK: Final = 4 * 2**30
"""Memory for jobs where the system does not say how much there is."""


class Running(Protocol):
    """One process under way."""

    def result(self) -> "Ended | None":
        """Return how it ended, None while it runs."""

    def stop(self) -> None:
        """End it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended: its exit code, and what it wrote."""

    code: int
    output: str
    log: str


class Local:
    """Processes of this machine."""

    def start(self, job: Job) -> Running:
        """Start a port in a process of its own."""
        return _Process(command(job))


class _Process:
    def __init__(self, words: list[str]) -> None:
        self._output, self._log = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - as long as it runs
        self._process = subprocess.Popen(words, stdout=self._output, stderr=self._log, env=environment())  # noqa: S603

    def result(self) -> Ended | None:
        code = self._process.poll()
        if code is None:
            return None
        texts = []
        for file in (self._output, self._log):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(code=code, output=texts[0], log=texts[1])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Ray:
    """Processes of a Ray cluster, whose machines see the same folders and have the same package."""

    def __init__(self) -> None:
        self._ray: Any = extras.require("ray")
        if not self._ray.is_initialized():
            self._ray.init(log_to_driver=False)

    def start(self, job: Job) -> Running:
        """Start a port somewhere in the cluster, where its memory is free."""
        task = self._ray.remote(num_cpus=1, memory=job.bytes)(run_to_end).remote(command(job))
        return _Task(self._ray, task)


class _Task:
    def __init__(self, ray: Any, task: Any) -> None:
        self._ray, self._task = ray, task

    def result(self) -> Ended | None:
        ready, _ = self._ray.wait([self._task], timeout=0)
        if not ready:
            return None
        try:
            return Ended(**self._ray.get(self._task))
        except Exception as error:  # noqa: BLE001 - whatever the cluster made of it, it is one job's end
            return Ended(code=1, output="", log=one_line(error))

    def stop(self) -> None:
        self._ray.cancel(self._task)


def run_to_end(words: list[str]) -> dict[str, Any]:
    """Run a command to its end and return the fields of `Ended`; a worker of a cluster calls it."""
    found = subprocess.run(words, capture_output=True, text=True, check=False, env=environment())  # noqa: S603 - ours
    return {"code": found.returncode, "output": found.stdout, "log": found.stderr}


def port_all(
    asked: Jobs,
    *,
    engine: str = "local",
    workers: int | None = None,
    memory: int | None = None,
    observer: Observer | None = None,
) -> PortReport:
    """Run every job and write ``index.html``, ``index.md`` and ``index.json`` into the folder of all.

    Jobs that an earlier run finished cost a look at their files. One that fails takes no other down; one that needs
    more memory than there is for all is not started, and failed.

    Args:
        asked: the jobs.
        engine: a key of `ENGINES`.
        workers: processes at a time; by default what the file says, or one for each processor.
        memory: bytes for all of them; by default what the file says, or what is free now.
        observer: hears of every job that starts or ends.

    Raises:
        UsageError: an unknown engine, or workers or memory that make no sense.
        MissingExtraError: the engine is not installed.
    """
    observer = observer or Silent()
    chosen = ENGINES[engine]()
    places = next(count for count in (workers, asked.workers, threads()) if count is not None)
    free = (free_bytes() or FALLBACK) * 9 // 10
    budget = next(count for count in (memory, asked.memory, free) if count is not None)
    if places < 1 or budget < 1:
        raise UsageError(f"expected workers and memory of at least 1, found {places} and {budget}")
    rows = _run(asked.jobs, chosen.start, places, budget, observer)
    report = PortReport(jobs=tuple(rows[job.name] for job in asked.jobs), workers=places, memory=budget)
    write_index(report, asked.out)
    return report


def _run(
    jobs: tuple[Job, ...], start: Callable[[Job], Running], places: int, budget: int, observer: Observer
) -> dict[str, PortRow]:
    """Return the row of every job: the largest first, others beside it as long as they fit."""
    waiting = sorted(jobs, key=lambda job: -job.bytes)
    rows = {job.name: _too_large(job, budget) for job in waiting if job.bytes > budget}
    waiting = [job for job in waiting if job.name not in rows]
    with _running() as running:
        while waiting or running:
            for job in list(waiting):
                free = budget - sum(held.bytes for held, _, _ in running.values())
                if len(running) < places and job.bytes <= free:
                    waiting.remove(job)
                    observer.phase(f"{job.name}: start")
                    running[job.name] = (job, start(job), time.perf_counter())
            for name, (job, process, begun) in list(running.items()):
                ended = process.result()
                if ended is not None:
                    del running[name]
                    rows[name] = _row(job, ended, time.perf_counter() - begun)
                    observer.phase(f"{name}: {rows[name].status} ({len(rows)} of {len(jobs)} done)")
            time.sleep(PAUSE)
    return rows


@contextmanager
def _running() -> Iterator[dict[str, tuple[Job, Running, float]]]:
    """Yield the processes under way; whatever ends the block ends them too."""
    found: dict[str, tuple[Job, Running, float]] = {}
    try:
        yield found
    finally:
        for _, process, _ in found.values():
            process.stop()


def command(job: Job) -> list[str]:
    """Return the command of a job's process."""
    return [sys.executable, "-m", "lwmport", "port", *job.words, "--json"]


def environment() -> dict[str, str]:
    """Return the environment of a job's process, which finds this very package."""
    home = str(Path(lwmport.__file__).parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, before] if before else [home])}


def _row(job: Job, ended: Ended, seconds: float) -> PortRow:
    try:
        found = json.loads(ended.output)
    except ValueError:
        found = {}
    if ended.code in {0, 1} and "stages" in found:
        stages = tuple(
            StageFact(name=stage["name"], status=Status(stage["status"]), reason=stage["reason"])
            for stage in found["stages"]
        )
        status, sentence, peak = Status(found["status"]), found["sentence"], found["peak_bytes"]
    else:
        sentence = found.get("error") or _last_line(ended)
        stages, status, peak = _none(sentence), Status.FAILED, None
    return PortRow(
        name=job.name,
        title=title_of(job.request),
        target=job.request.target,
        status=status,
        sentence=sentence,
        stages=stages,
        seconds=round(seconds, 1),
        peak_bytes=peak,
        estimate_bytes=job.bytes,
        links=_links(job),
    )


def _too_large(job: Job, budget: int) -> PortRow:
    sentence = f"needs about {job.bytes / 1e9:.1f} GB of memory, more than the {budget / 1e9:.1f} GB for all jobs"
    return PortRow(
        name=job.name,
        title=title_of(job.request),
        target=job.request.target,
        status=Status.FAILED,
        sentence=sentence,
        stages=_none(sentence),
        seconds=0.0,
        peak_bytes=None,
        estimate_bytes=job.bytes,
    )


def _none(reason: str) -> tuple[StageFact, ...]:
    return tuple(StageFact(name=name, status=Status.SKIPPED, reason=reason) for name in STAGES)


def _last_line(ended: Ended) -> str:
    if ended.code < 0:
        hint = "; was there too little memory?" if ended.code == -9 else ""
        return f"ended by signal {-ended.code}{hint}"
    lines = ended.log.strip().splitlines()
    return lines[-1] if lines else f"ended with exit code {ended.code} and said nothing"


def _links(job: Job) -> Mapping[str, str]:
    """Return what there is to open of a job, as paths below the folder of all."""
    request = job.request
    places = {"report": request.models / "report.html", "preflight": request.out / "preflight.json",
              "bundle": request.bundle}  # fmt: skip
    return {name: path.relative_to(request.out.parent).as_posix() for name, path in places.items() if path.exists()}
