"""A conversion in a process of its own: its seconds without imports, and its memory as the kernel counts it."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

from interpreters import OWN, command
from memory import Memory, memory_of
from threads import limit_threads

SAMPLING = 0.005
"""Seconds between two looks at a process's memory."""


@dataclass(frozen=True, kw_only=True)
class Converter:
    """``prepare`` imports and warms what a first call would load; only ``convert``, which takes a job, is timed."""

    prepare: Callable[[], object]
    convert: Callable[[Any], object]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a conversion took. Memory is the process's peak, imports included; the anonymous part leaves out files."""

    seconds: float
    peak_bytes: int
    peak_anonymous_bytes: int


def typical(costs: Sequence[Cost]) -> Cost:
    """Return the median seconds and the largest memory of several conversions."""
    return Cost(
        seconds=median(cost.seconds for cost in costs),
        peak_bytes=max(cost.peak_bytes for cost in costs),
        peak_anonymous_bytes=max(cost.peak_anonymous_bytes for cost in costs),
    )


def convert_elsewhere(script: Path, name: str, job: Any, threads: int, interpreter: str = OWN) -> Cost:
    """Return the cost of a conversion that ``script --convert`` does in a new process, into the job's new folder.

    Args:
        script: does what is ordered with `convert_here`.
        name: the contender.
        job: what to convert; ``out`` names the folder.
        threads: how many it may use.
        interpreter: the Python that runs the script.

    Raises:
        RuntimeError: it failed; the message is the last line that it printed.
    """
    out = Path(job.out)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    log, result = out / "log.txt", out / "cost.json"
    order = json.dumps({"name": name, "job": asdict(job), "threads": threads, "result": str(result)})
    with log.open("w", encoding="utf-8") as stream:
        ordered = command(interpreter, script, "--convert", order)
        process = subprocess.Popen(ordered, stdout=stream, stderr=stream)
        most = watch(process)
    if process.returncode:
        lines = log.read_text(encoding="utf-8").splitlines() or ["no output"]
        raise RuntimeError(f"the conversion ended with exit code {process.returncode}: {lines[-1]}")
    seconds = json.loads(result.read_text(encoding="utf-8"))
    return Cost(seconds=seconds, peak_bytes=most.peak_bytes, peak_anonymous_bytes=most.anonymous_bytes)


def convert_in_turns(
    script: Path,
    jobs: Mapping[str, Any],
    rounds: int,
    threads: int,
    left_out: dict[str, str],
    interpreters: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Cost]:
    """Return the typical cost of each conversion, done in turns; who fails once is left out from then on.

    Args:
        script: does what `convert_elsewhere` orders.
        jobs: contender -> its job.
        rounds: how often everyone converts.
        threads: how many each may use.
        left_out: contender -> why it takes no part; whoever fails is entered.
        interpreters: contender -> the Python that converts, where it is not this one.
    """
    costs: dict[str, list[Cost]] = {}
    for number, (name, job) in product(range(rounds), jobs.items()):
        if name in left_out:
            continue
        say(f"convert with {name}, round {number + 1} of {rounds}")
        try:
            cost = convert_elsewhere(script, name, job, threads, interpreters.get(name, OWN))
            costs.setdefault(name, []).append(cost)
        except RuntimeError as error:
            left_out[name] = str(error)
    return {name: typical(found) for name, found in costs.items() if name not in left_out}


def say(text: str) -> None:
    """Tell on standard error what is being done."""
    print(text, file=sys.stderr, flush=True)


def convert_here(order: str, converters: Mapping[str, Converter], kind: Callable[..., object]) -> None:
    """Do what `convert_elsewhere` ordered, and write the seconds to the file that it names.

    Args:
        order: what the other process passed on.
        converters: contender -> its converter.
        kind: the class of the job, which takes its fields.
    """
    wanted = json.loads(order)
    limit_threads(wanted["threads"])
    job = kind(**wanted["job"])
    converter = converters[wanted["name"]]
    converter.prepare()
    start = time.perf_counter()
    converter.convert(job)
    seconds = time.perf_counter() - start
    Path(wanted["result"]).write_text(json.dumps(seconds), encoding="utf-8")


def watch(process: subprocess.Popen[bytes]) -> Memory:
    """Wait for a process and return the most memory of each kind that it was seen with."""
    peak = anonymous = 0
    while process.poll() is None:
        now = memory_of(process.pid)
        peak, anonymous = max(peak, now.peak_bytes), max(anonymous, now.anonymous_bytes)
        time.sleep(SAMPLING)
    return Memory(peak_bytes=peak, anonymous_bytes=anonymous)
