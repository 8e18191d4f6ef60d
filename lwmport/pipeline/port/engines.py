"""Where the processes of a matrix run: on this machine, or on a Ray cluster."""

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import lwmport
from lwmport import extras
from lwmport.errors import PortError, one_line
from lwmport.pipeline.port.jobs import PortJob
from lwmport.pipeline.port.run import PortOutcome, finished
from lwmport.registry import Registry

HERE: Final = "local"
"""The engine of this machine."""

ENGINES: Final = Registry(
    "kind of engine", {HERE: "lwmport.pipeline.port.engines:Local", "ray": "lwmport.pipeline.port.engines:Ray"}
)
"""Engine -> where processes run: on this machine, or on a Ray cluster that sees the same folders."""


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

    @property
    def signal(self) -> str:
        """The name of the signal that ended it, also where it could tidy up; empty if it ended by itself."""
        number = -self.code if self.code < 0 else self.code - 128
        return signal.Signals(number).name if number in {*signal.Signals} else ""


class Engine(Protocol):
    """Where processes run."""

    def done(self, job: PortJob) -> PortOutcome | None:
        """Return what came of a job that needs no process any more, as far as that can be told from here."""

    def start(self, job: PortJob) -> Running:
        """Start a port in a process of its own."""


class Local:
    """Processes of this machine."""

    def done(self, job: PortJob) -> PortOutcome | None:
        """Return what the job's folder says, which is what its process would look at too."""
        try:
            return finished(job.request)
        except PortError:
            return None

    def start(self, job: PortJob) -> Running:
        """Start a port in a process of its own, which ends with this one."""
        return _Process(command(job, "lwmport.pipeline.port.supervised_child"))


class _Process:
    def __init__(self, words: list[str]) -> None:
        self._output, self._log = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - as long as it runs
        self._process = subprocess.Popen(  # noqa: S603 - our own module, in our own interpreter
            words, stdin=subprocess.PIPE, stdout=self._output, stderr=self._log, env=environment()
        )

    def result(self) -> Ended | None:
        code = self._process.poll()
        if code is None:
            return None
        self._close()
        texts = []
        for file in (self._output, self._log):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(code=code, output=texts[0], log=texts[1])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()


class Ray:
    """Processes of a Ray cluster, whose machines see the same folders and have the same package."""

    def __init__(self) -> None:
        self._ray: Any = extras.require("ray")
        if not self._ray.is_initialized():
            self._ray.init(log_to_driver=False)

    def done(self, _job: PortJob) -> PortOutcome | None:
        """Return None: which tools a machine of the cluster has is for its own process to see."""
        return None

    def start(self, job: PortJob) -> Running:
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


def command(job: PortJob, module: str = "lwmport") -> list[str]:
    """Return the command of a job's process."""
    return [sys.executable, "-m", module, "port", *job.words, "--json"]


def environment() -> dict[str, str]:
    """Return the environment of a job's process, which finds this very package."""
    home = str(Path(lwmport.__file__).parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, before] if before else [home])}
